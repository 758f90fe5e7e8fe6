"""Rows of many clients in one cell: who meets whom, what counts as nothing, and what is remembered."""

from __future__ import annotations

import numpy as np
import pytest
from group_traffic import entries, in_order
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.band_entries import ENTRY, Entries, Link, decode, encode, joined
from detectors.band_memory import BACK, PER_CLIENT, BandMemory
from detectors.fingerprints import Reach

REACH = Reach(32, 40)


def pairs(links: list[Link]) -> list[tuple[str, str]]:
    return [(link.event, link.earlier_event) for link in links]


def test_near_rows_of_different_clients_meet() -> None:
    rows = entries([1, 1, 1, 2], [0, 31, 32 + 31, 0], ["a", "b", "c", "d"], labels=[0, 1, 1, 0])
    links, loud = BandMemory().meet(rows, REACH, 0.5)
    assert [(link.event, link.earlier_event, link.distance, link.differs) for link in links] == [
        ("e1", "e0", 15.5, True)
    ]
    assert loud.tolist() == [True] * 4


def test_rows_whose_labels_differ_meet_from_further_away() -> None:
    rows = entries([1, 1, 2, 2], [0, 35, 0, 35], ["a", "b", "a", "b"], labels=[0, 1, 0, 0])
    assert pairs(BandMemory().meet(rows, REACH, 1.0)[0]) == [("e1", "e0")]


def pictures(parts: list[list[int]], clients: list[str]) -> Entries:
    """Rows of one cell of parts, sixteen bytes each."""
    found = entries([3] * len(parts), [0] * len(parts), clients)
    found.rows["cell"] += 1
    found.rows["z"][:, :8] = np.array(parts, dtype=np.uint8).view(np.int16)
    return found


@pytest.mark.parametrize(("equal", "near"), [(8, False), (9, True), (16, True)])
def test_pictures_are_near_that_have_enough_parts_in_common(equal: int, near: bool) -> None:
    one = list(range(1, 17))
    other = one[:equal] + [200] * (16 - equal)
    links, loud = BandMemory().meet(pictures([one, other], ["a", "b"]), Reach(32, 40, 9), 0.5)
    assert [(link.event, link.earlier_event, link.distance) for link in links] == [("e1", "e0", 0.0)] * near
    assert loud.tolist() == [True] * 2


def test_parts_that_pictures_lack_are_not_in_common() -> None:
    rows = pictures([[0] * 8 + [5] * 8, [0] * 8 + [5] * 8], ["a", "b"])
    assert BandMemory().meet(rows, Reach(32, 40, 9), 1.0)[0] == []


def test_the_same_bytes_are_nothing_and_are_not_remembered() -> None:
    """The second account of a partner who tests two, or everybody's health check; also where a near row is about."""
    rows = entries([1] * 4, [0, 0, 5, 5], ["a", "b", "a", "b"], digests=[7, 7, 8, 8])
    memory = BandMemory()
    links, loud = memory.meet(rows, REACH, 1.0)
    assert links == []
    assert loud.tolist() == [True, False, True, False]
    assert len(memory) == 2


def test_a_client_near_itself_is_nothing() -> None:
    """A camera whose frames somebody else copies: it was there before."""
    rows = entries([1] * 3, [0, 1, 2], ["camera", "copy", "camera"])
    assert pairs(BandMemory().meet(rows, REACH, 1.0)[0]) == [("e1", "e0")]


def test_a_row_meets_a_few_of_the_latest_and_each_client_once() -> None:
    clients = [*(f"c{i}" for i in range(6)), "c5", "late"]
    links, _ = BandMemory().meet(entries([1] * 8, range(0, 80, 10), clients), Reach(1000, 1000), 1.0)
    assert pairs([link for link in links if link.client == "late"]) == [
        ("e7", "e6"),
        ("e7", "e4"),
        ("e7", "e3"),
        ("e7", "e2"),
    ]


def test_memory_is_met_as_well_until_it_has_expired() -> None:
    memory = BandMemory()
    memory.meet(entries([1, 5], [0, 0], ["a", "a"]), REACH, 1.0)
    memory.forget(1.0)
    later = entries([1], [3], ["b"], digests=[99], begin_ts=100.0, prefix="n")
    assert pairs(memory.meet(later, REACH, 1.0)[0]) == [("n0", "e0")]
    memory.forget(50.0)
    assert len(memory) == 1
    last = entries([1], [5], ["c"], digests=[98], begin_ts=200.0, prefix="m")
    assert pairs(memory.meet(last, REACH, 1.0)[0]) == [("m0", "n0")]


def test_whoever_floods_a_cell_pushes_out_its_own_rows() -> None:
    memory = BandMemory()
    memory.meet(entries([1], [0], ["honest"], digests=[1]), REACH, 1.0)
    memory.meet(
        entries([1] * 500, [3000] * 500, ["flood"] * 500, digests=range(2, 502), begin_ts=1.0, prefix="f"), REACH, 1.0
    )
    later = entries([1], [3], ["b"], digests=[999], begin_ts=600.0, prefix="n")
    assert pairs(memory.meet(later, REACH, 1.0)[0]) == [("n0", "e0")]


def test_a_cell_remembers_its_latest_rows_only() -> None:
    memory = BandMemory()
    memory.meet(entries([1], [0], ["first"], digests=[1]), REACH, 1.0)
    crowd = [3000 + i for i in range(BACK - 1)]
    memory.meet(entries([1] * (BACK - 1), crowd, [f"f{i}" for i in range(BACK - 1)], digests=crowd), REACH, 1.0)
    near = entries([1], [3], ["b"], digests=[999], begin_ts=600.0, prefix="n")
    assert pairs(memory.meet(near, REACH, 1.0)[0]) == [("n0", "e0")]
    again = entries([1], [-3], ["c"], digests=[998], begin_ts=700.0, prefix="m")  # "first" has made room for "n0"
    assert pairs(memory.meet(again, REACH, 1.0)[0]) == [("m0", "n0")]


@st.composite
def traffic(draw: st.DrawFn) -> list[Entries]:
    """Windows of rows of few clients in few cells."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    windows = []
    for w in range(5):
        n = int(rng.integers(1, 90))
        clients = [f"c{c}" for c in rng.integers(0, int(rng.integers(2, 40)), n)]
        digests = rng.integers(0, 200, n)
        windows.append(
            entries(rng.integers(0, 3, n), digests * 7, clients, digests, begin_ts=w * 100.0, prefix=f"w{w}-")
        )
    return windows


def simply(windows: list[Entries]) -> list[tuple[str, str]]:
    """What ``BandMemory`` says, by lists: of a cell the latest rows, of one client no more than a few."""
    cells: dict[int, list[tuple[Entries, int]]] = {}
    found: list[tuple[str, str]] = []
    for window in windows:
        for i in range(len(window)):
            mine, row, mute, met = cells.setdefault(int(window.rows["cell"][i]), []), window.rows[i], False, []
            for other, j in reversed(mine):
                if other.rows["digest"][j] == row["digest"]:
                    break
                if abs(int(other.rows["z"][j][0]) - int(row["z"][0])) < REACH[0]:
                    mute |= other.clients[j] == window.clients[i]
                    met.append((other.clients[j], other.events[j]))
            else:
                once = dict(reversed(met))  # the latest of each
                order = [event for _, event in met if event in once.values()]
                found += [] if mute else [(window.events[i], event) for event in order[:4]]
                own = [k for k, (other, j) in enumerate(mine) if other.clients[j] == window.clients[i]]
                if len(own) >= PER_CLIENT:
                    del mine[own[0]]
                mine.append((window, i))
                del mine[:-BACK]
    return found


@given(traffic())
@settings(max_examples=60)
def test_the_same_as_by_lists(windows: list[Entries]) -> None:
    memory, ordered = BandMemory(), [in_order(window) for window in windows]
    assert [p for window in ordered for p in pairs(memory.meet(window, Reach(32, 32), 1.0)[0])] == simply(ordered)


@given(traffic(), st.integers(1, 4), st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_neither_partitions_nor_lanes_change_who_meets(windows: list[Entries], lanes: int, random: object) -> None:
    """Clients in any partitions, cells in any lanes, parts in any order."""
    memory = BandMemory()
    whole = {link for window in windows for link in memory.meet(in_order(window), REACH, 1.0)[0]}
    apart: set[Link] = set()
    for lane in range(lanes):
        memory = BandMemory()
        for window in windows:
            mine = window.take(window.rows["cell"] % lanes == lane)
            home = np.array([int(mine.clients[i][1:]) % 2 for i in range(len(mine))], dtype=np.int64)
            parts = [decode(encode(mine.take(home == p)), ENTRY) for p in range(2)]
            random.shuffle(parts)  # type: ignore[attr-defined]  # hypothesis' own Random
            apart |= set(memory.meet(in_order(joined(parts)), REACH, 1.0)[0])
    assert apart == whole


@given(traffic(), st.integers(0, 4))
@settings(max_examples=40)
def test_a_memory_made_anew_from_what_has_not_expired_is_the_same(windows: list[Entries], expired: int) -> None:
    *before, last = [in_order(window) for window in windows]
    memory, anew = BandMemory(), BandMemory()
    loud = [window.take(memory.meet(window, REACH, 1.0)[1]) for window in before]
    memory.forget(expired * 100.0)
    for window in loud[expired:]:
        anew.remember(decode(encode(window), ENTRY))
    assert len(memory) == len(anew)
    (met, kept), (met_anew, kept_anew) = memory.meet(last, REACH, 1.0), anew.meet(last, REACH, 1.0)
    assert met == met_anew
    assert np.array_equal(kept, kept_anew)


@pytest.mark.parametrize("cells", [1, 50, 10**6])
def test_room_of_expired_and_pushed_out_rows_is_used_again(cells: int) -> None:
    memory, n = BandMemory(), 3000
    for w in range(40):
        memory.forget((w - 2) * float(n))
        places = np.random.default_rng(w).integers(0, cells, n)
        clients, digests = [f"c{i}" for i in range(n)], range(w * n, w * n + n)
        memory.meet(in_order(entries(places, [0] * n, clients, digests, begin_ts=w * float(n))), REACH, 1.0)
    assert min(cells * BACK, 3 * n) * 0.9 < len(memory) <= min(cells * BACK, 3 * n)
    assert len(memory._rows) <= 3 * len(memory) + 2 * n
