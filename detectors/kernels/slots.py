"""Numbers by key in a table with linear probing: one look into memory for each key."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]

#: Key of a place that is empty; keys are not negative.
EMPTY: Final = -1
#: 2**64 divided by the golden ratio (Knuth, *The Art of Computer Programming* 3, 6.4): spreads keys that are alike.
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)
_UPPER: Final = np.uint64(32)


@kernel
def find(keys: Array, table: Array, out: Array) -> None:
    """``out[i]``: the number under key i, or -1.

    Args:
        keys: int64 ``(n,)``. table: int64 ``(m, 2)``, key and number by place; m a power of two, some places empty.
    """
    mask = len(table) - 1
    for i in range(len(keys)):
        place = np.int64((np.uint64(keys[i]) * _SPREAD) >> _UPPER) & mask
        while table[place, 0] != keys[i] and table[place, 0] != EMPTY:
            place = (place + 1) & mask
        out[i] = table[place, 1] if table[place, 0] == keys[i] else -1


@kernel
def enter(keys: Array, numbers: Array, table: Array) -> None:
    """Put in numbers under keys that are not there yet, each once; ``EMPTY`` keys are passed over."""
    mask = len(table) - 1
    for i in range(len(keys)):
        if keys[i] == EMPTY:
            continue
        place = np.int64((np.uint64(keys[i]) * _SPREAD) >> _UPPER) & mask
        while table[place, 0] != EMPTY:
            place = (place + 1) & mask
        table[place, 0] = keys[i]
        table[place, 1] = numbers[i]


@kernel
def leave(keys: Array, table: Array) -> None:
    """Take out keys that are there. Those behind move up, so that no search ends before them."""
    mask = len(table) - 1
    for i in range(len(keys)):
        gap = np.int64((np.uint64(keys[i]) * _SPREAD) >> _UPPER) & mask
        while table[gap, 0] != keys[i]:
            gap = (gap + 1) & mask
        place = gap
        while True:
            place = (place + 1) & mask
            if table[place, 0] == EMPTY:
                break
            home = np.int64((np.uint64(table[place, 0]) * _SPREAD) >> _UPPER) & mask
            if ((place - home) & mask) >= ((place - gap) & mask):
                table[gap, 0] = table[place, 0]
                table[gap, 1] = table[place, 1]
                gap = place
        table[gap, 0] = EMPTY
