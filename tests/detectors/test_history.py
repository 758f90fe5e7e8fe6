"""Histories: each client's latest entries, whoever else grows, goes or comes back in between."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.history import History

ENTRY = np.dtype([("key", "<i8"), ("z", "<f4", (2,))])
SLOTS = 6

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(st.integers(0, SLOTS - 1), max_size=60)),
        st.tuples(st.just("forget"), st.sets(st.integers(0, SLOTS - 1))),
        st.tuples(st.just("pack"), st.none()),
        st.tuples(st.just("store"), st.sets(st.integers(0, SLOTS - 1))),
    ),
    max_size=25,
)


def made(length: int) -> History:
    history = History(ENTRY, length)
    history.reserve(SLOTS)
    return history


def numbered(n: int, first: int) -> np.ndarray:
    entries = np.zeros(n, ENTRY)
    entries["key"] = np.arange(first, first + n)
    entries["z"] = entries["key"][:, None]
    return entries


@pytest.mark.parametrize("length", [1, 4, 5, 32])
@settings(max_examples=60)
@given(steps=STEPS)
def test_holds_what_lists_would(length: int, steps: list) -> None:
    history, lists, n = made(length), [[] for _ in range(SLOTS)], 0
    for what, slots in steps:
        chosen = np.array(sorted(slots) if isinstance(slots, set) else slots or [], dtype=np.int64)
        if what == "append":
            history.append(chosen, numbered(len(chosen), n))
            for slot in chosen.tolist():
                lists[slot] = [*lists[slot], n][-length:]
                n += 1
        elif what == "forget":
            history.forget(chosen)
            for slot in chosen.tolist():
                lists[slot] = []
        elif what == "pack":
            history.pack()
        else:
            every = np.ones(len(chosen), dtype=np.bool_)
            stored = history.stored(chosen, every)
            history.forget(chosen)
            history.restore(chosen, stored, every)
        for slot in range(SLOTS):
            assert history.entries(slot)["key"].tolist() == lists[slot]
            assert history.entries(slot)["z"][:, 1].tolist() == lists[slot]
    counts, entries = history.gather(np.arange(SLOTS))
    assert counts.tolist() == [len(entry) for entry in lists]
    assert entries["key"].tolist() == [key for entry in lists for key in entry]


def test_only_wanted_clients_are_taken_back() -> None:
    one, other = made(32), made(32)
    one.append(np.array([0, 1, 1, 2]), numbered(4, 10))
    stored = one.stored(np.array([0, 1, 2, 3]), np.ones(4, dtype=np.bool_))
    other.restore(np.array([5, 4]), stored, np.array([False, True, True, False]))
    assert other.entries(5)["key"].tolist() == [11, 12]
    assert other.entries(4)["key"].tolist() == [13]
    assert other.counts(np.arange(4)).tolist() == [0] * 4


@pytest.mark.parametrize("length", [1, 4, 5, 32])
@given(steps=STEPS)
def test_what_came_since_it_was_saved_makes_the_rest_whole(length: int, steps: list) -> None:
    history, copy, n = made(length), made(length), 0
    whole = np.zeros(SLOTS, dtype=np.bool_)
    for what, slots in steps:
        chosen = np.array(sorted(slots) if isinstance(slots, set) else slots or [], dtype=np.int64)
        if what == "append":
            history.append(chosen, numbered(len(chosen), n))
            n += len(chosen)
        elif what == "forget":
            history.forget(chosen)
            whole[chosen] = True
        else:
            every = np.arange(SLOTS)
            copy.forget(every[whole])
            copy.restore(every, history.stored(every, whole), np.ones(SLOTS, dtype=np.bool_))
            history.saved(every)
            whole[:] = False
            assert not history.unsaved(every).any()
            assert all(history.entries(slot).tobytes() == copy.entries(slot).tobytes() for slot in range(SLOTS))


def test_entries_of_another_layout_are_left_aside() -> None:
    one, other = made(32), History(np.int64, 32)
    other.reserve(1)
    one.append(np.array([0]), numbered(1, 1))
    other.restore(np.array([0]), one.stored(np.array([0]), np.ones(1, dtype=np.bool_)), np.ones(1, dtype=np.bool_))
    assert len(other.entries(0)) == 0


def test_memory_follows_need() -> None:
    """Short histories take a short block, and what forgotten clients leave is given back."""
    many = 3000
    history = History(ENTRY, 64)
    history.reserve(many)
    history.append(np.arange(many), numbered(many, 0))
    assert history.total_nbytes() == many * 4 * ENTRY.itemsize
    history.append(np.repeat(np.arange(many), 64), numbered(many * 64, 0))
    assert history.total_nbytes() == many * 64 * ENTRY.itemsize
    history.forget(np.arange(10, many))
    history.pack()
    assert len(history.pool) == 640
    assert history.entries(9)["key"].tolist() == list(range(9 * 64, 10 * 64))
