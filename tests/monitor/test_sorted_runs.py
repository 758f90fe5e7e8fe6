"""Sorted runs: a dictionary of newest times in fewer bytes."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.sorted_runs import SortedRuns

KEYS = st.integers(0, 30) | st.sampled_from([2**63, 2**64 - 1])


@given(st.lists(st.lists(KEYS, min_size=1, max_size=8), max_size=12), st.integers(1, 40))
@example([[1, 2], [1], [2**64 - 1, 1]], 2)
def test_newest_times_are_those_of_a_dictionary(batches: list[list[int]], span: int) -> None:
    """Whatever is at or above the floor is found with its newest time; what is below may be gone."""
    runs, plain = SortedRuns(), dict[int, float]()
    now, floor = 0.0, -np.inf
    for batch in batches:
        floor = now - span
        fresh = [key for key in dict.fromkeys(batch) if plain.get(key, -np.inf) < floor]
        times = [now := now + 1 for _ in fresh]
        runs.add(np.array(fresh, dtype=np.uint64), np.array(times), floor)
        plain |= dict(zip(fresh, times, strict=True))
        asked = np.array(sorted({*plain, 5, 2**64 - 2}), dtype=np.uint64)
        found = runs.newest(asked)
        for key, ts in zip(asked.tolist(), found.tolist(), strict=True):
            expected = plain.get(key, -np.inf)
            assert ts == expected or expected < floor


def test_entries_below_the_floor_do_not_pile_up() -> None:
    runs = SortedRuns()
    for step in range(500):
        keys = np.random.default_rng(step).integers(0, 2**63, size=100).astype(np.uint64)
        runs.add(keys, np.full(100, float(step)), step - 50.0)
        assert len(runs) <= 51 * 100 * 1.5
        assert runs.nbytes == 16 * len(runs)


def test_runs_that_are_past_go_also_where_no_run_is_merged_with_them() -> None:
    runs = SortedRuns()
    runs.add(np.arange(10_000, dtype=np.uint64), np.zeros(10_000), -np.inf)
    runs.add(np.array([1], dtype=np.uint64), np.array([100.0]), 50.0)
    assert len(runs) == 1
    assert runs.newest(np.array([0, 1], dtype=np.uint64)).tolist() == [-np.inf, 100.0]
