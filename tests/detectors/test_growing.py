"""Arrays that grow: what was written stays."""

from __future__ import annotations

import numpy as np

from detectors.growing import grown


def test_an_array_that_is_long_enough_is_given_back_itself() -> None:
    array = np.arange(4)
    assert grown(array, 4) is array
    assert grown(array, 3, used=2) is array


def test_new_rows_hold_zeros() -> None:
    bigger = grown(np.ones((2, 3)), 5)
    assert bigger.shape == (6, 3)
    assert np.array_equal(bigger, [[1.0] * 3] * 2 + [[0.0] * 3] * 4)


def test_new_rows_of_large_arrays_hold_zeros_and_can_be_written() -> None:
    kind = np.dtype([("a", "<i4"), ("b", "?")])
    bigger = grown(np.ones(3, dtype=kind), 1 << 20)
    assert bigger.dtype == kind
    assert len(bigger) == 1 << 20
    assert bigger[:3].tolist() == [(1, True)] * 3
    assert not bigger[3:]["a"].any()
    bigger["a"] = np.arange(1 << 20)
    assert np.array_equal(grown(bigger, 1 << 21)["a"][: 1 << 20], np.arange(1 << 20))


def test_what_was_used_is_copied() -> None:
    bigger = grown(np.arange(1000), 10_000, used=3)
    assert len(bigger) == 10_000
    assert bigger[:3].tolist() == [0, 1, 2]


def test_an_array_of_which_nothing_is_used_grows() -> None:
    assert len(grown(np.empty((0, 2), dtype=np.uint32), 7, used=0)) == 7
