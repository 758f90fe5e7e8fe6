"""Visits: entries and leaps are counted, and blocks of them end where a list of all of them says."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from detectors.history import History
from detectors.kernels.places import entering
from detectors.kernels.visits import ended_blocks
from detectors.regions import RING, VISIT

Numbers = npt.NDArray[np.uint8]


def walked(places: list[int], memory: History) -> tuple[list[bool], Numbers, Numbers]:
    """Which of one client's rows enter, and the counts of entries and of leaps."""
    n = len(places)
    new, entries, leaps = np.zeros(n, dtype=np.bool_), np.zeros(n, np.uint8), np.zeros(n, np.uint8)
    words = memory.pool.view("<u4").reshape(-1, 3)
    rows = (np.arange(n), np.array([0, n]), np.zeros(n, dtype=np.int64), np.array(places, dtype=np.int64))
    entering(*rows, words, memory.owned, 2, 4, 2, RING, new, entries, leaps)
    return new.tolist(), entries, leaps


def empty() -> History:
    memory = History(VISIT, RING)
    memory.reserve(1)
    return memory


def test_entries_and_leaps_by_hand() -> None:
    # 1 bit is no entry; 3 bits are one; 3 more are one from there; 1 << 46 is far from both and a leap; 0 was there
    new, entries, leaps = walked([0, 0b1, 0b111, 0b111111, 0b11111 << 42, 0], empty())
    assert new == [True, False, True, True, True, False]
    assert entries[new].tolist() == [129, 130, 131, 132]
    assert leaps[new].tolist() == [129, 1, 1, 130]


def test_counts_go_on_from_what_is_remembered_and_begin_again_at_128() -> None:
    memory = empty()
    visits = np.zeros(1, VISIT)
    visits["place"], visits["entry"], visits["leap"] = 0b1111 << 44, 255, 128 + 126
    memory.append(np.array([0]), visits)
    new, entries, leaps = walked([0b1111 << 44, 0, 0b111], memory)
    assert new == [False, True, True]
    assert entries[1:].tolist() == [128, 129]
    assert leaps[1:].tolist() == [255, 127]


Steps = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=150)


@given(steps=Steps, cut=st.integers(0, 150), block=st.sampled_from([2, 8, 32]))
def test_blocks_end_where_a_list_of_all_visits_says(steps: list[tuple[bool, bool]], cut: int, block: int) -> None:
    n = len(steps)
    new = np.array([fresh for fresh, _ in steps], dtype=np.bool_)
    counted, numbers, values = 0, np.zeros(n, np.uint8), (np.arange(n) % 251).astype(np.uint8)
    visits: list[tuple[bool, int]] = []
    expected = {}
    for row, (fresh, counts) in enumerate(steps):
        if not fresh:
            continue
        counted += counts
        numbers[row] = counted % 128 + 128 * counts
        visits.append((counts, int(values[row])))
        if counts and counted % block == 0:
            last = [value for counts, value in reversed(visits[-RING:]) if counts][:block]
            if len(last) == block:
                expected[row] = last
    memory, found = empty(), {}
    for begin, end in ((0, min(cut, n)), (min(cut, n), n)):
        part = slice(begin, end)
        rows = (np.arange(end - begin), np.array([0, end - begin]), np.zeros(end - begin, dtype=np.int64))
        ends, blocks = np.empty(n + 1, dtype=np.int64), np.empty((n + 1, block), np.uint8)
        pool = (memory.pool["entry"], memory.pool["code"], memory.owned)
        mine = (new[part], numbers[part], values[part])
        for k in range(ended_blocks(*rows, *mine, *pool, RING, block, ends, blocks)):
            found[begin + int(ends[k])] = blocks[k].tolist()
        entered = np.zeros(int(np.count_nonzero(new[part])), VISIT)
        entered["entry"], entered["code"] = numbers[part][new[part]], values[part][new[part]]
        memory.append(np.zeros(len(entered), dtype=np.int64), entered)
    assert found == expected
