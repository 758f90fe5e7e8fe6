"""Records are copied whole, as fields by themselves would be."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.records import joined, taken

KIND = np.dtype([("a", "<i8"), ("b", "<i2", (3,)), ("c", "?")])


def records(n: int) -> np.ndarray:
    found = np.zeros(n, dtype=KIND)
    found["a"], found["b"], found["c"] = np.arange(n), np.arange(3 * n).reshape(n, 3), np.arange(n) % 2
    return found


@pytest.mark.parametrize("index", [np.array([3, 0, 3]), np.array([], dtype=np.int64), np.arange(5) % 2 == 0])
def test_taken_are_copies_of_those_asked_for(index: np.ndarray) -> None:
    found = records(5)
    some = taken(found, index)
    assert some.dtype == KIND
    assert np.array_equal(some, found[index])
    some["a"] = -1
    assert np.array_equal(found, records(5))


def test_of_records_that_lie_apart() -> None:
    assert np.array_equal(taken(records(6)[::2], np.array([2, 1])), records(6)[[4, 2]])


def test_joined_come_one_after_the_other() -> None:
    parts = [records(2), records(0), records(4)[1:]]
    assert joined(parts).dtype == KIND
    assert np.array_equal(joined(parts), np.concatenate(parts))
