"""Arrays that grow: what was written stays."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from detectors.growing import grown

SMAPS, LARGE_PAGES = Path("/proc/self/smaps"), Path("/sys/kernel/mm/transparent_hugepage")


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


@pytest.mark.skipif(not SMAPS.exists(), reason="Linux tells how memory is mapped, other systems do not")
def test_large_arrays_of_zeros_are_private_and_ask_for_large_pages() -> None:
    bigger = grown(np.zeros(1, dtype=np.int64), 1 << 20)
    mapped = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) .*?VmFlags: ([^\n]*)", re.DOTALL)
    address = bigger.ctypes.data
    [(modes, flags)] = [
        (modes, flags)
        for begin, end, modes, flags in mapped.findall(SMAPS.read_text())
        if int(begin, 16) <= address < int(end, 16)
    ]
    assert modes == "rw-p"
    assert ("hg" in flags.split()) == LARGE_PAGES.exists()


def test_what_was_used_is_copied() -> None:
    bigger = grown(np.arange(1000), 10_000, used=3)
    assert len(bigger) == 10_000
    assert bigger[:3].tolist() == [0, 1, 2]


def test_an_array_of_which_nothing_is_used_grows() -> None:
    assert len(grown(np.empty((0, 2), dtype=np.uint32), 7, used=0)) == 7
