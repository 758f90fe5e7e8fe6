"""Blocks of entries in one pool of 32-bit words ``(entries, words)``, and who owns which.

``owned`` is int32 ``(slots, 4)``: begin of the slot's block, its size, entries in it, place of the oldest one. ``free``
is int64 ``(sizes + 1,)``: first free block of each size (-1: none; a free block's first word names the next one), then
the end of what was ever handed out.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]

BEGIN: Final = 0
SIZE: Final = 1
COUNT: Final = 2
OLDEST: Final = 3


@kernel
def append(pool: Array, owned: Array, sizes: Array, free: Array, slots: Array, entries: Array, unsaved: Array) -> None:
    """Add ``entries[i]`` to the history of ``slots[i]``, in order; a full block of the largest size drops its oldest.
    ``unsaved``: by slot how many of its entries are.

    The pool must have room for one block of the largest size more per entry.
    """
    words = pool.shape[1]
    for i in range(len(slots)):
        own = owned[slots[i]]
        if own[COUNT] == own[SIZE] and own[SIZE] < sizes[-1]:
            k = 0
            while sizes[k] <= own[SIZE]:
                k += 1
            begin = free[k]
            if begin >= 0:
                free[k] = np.int32(pool[begin, 0])
            else:
                begin = free[-1]
                free[-1] += sizes[k]
            for j in range(own[COUNT]):
                for w in range(words):
                    pool[begin + j, w] = pool[own[BEGIN] + j, w]
            if own[SIZE] > 0:
                pool[own[BEGIN], 0] = np.uint32(free[k - 1])
                free[k - 1] = own[BEGIN]
            own[BEGIN] = begin
            own[SIZE] = sizes[k]
        if own[COUNT] < own[SIZE]:
            at = own[BEGIN] + own[COUNT]
            own[COUNT] += 1
        else:
            at = own[BEGIN] + own[OLDEST]
            own[OLDEST] = (own[OLDEST] + 1) % own[SIZE]
        for w in range(words):
            pool[at, w] = entries[i, w]
        unsaved[slots[i]] = min(unsaved[slots[i]] + 1, own[COUNT])


@kernel
def gather(pool: Array, owned: Array, slots: Array, counts: Array, out: Array) -> None:
    """The newest ``counts[i]`` entries of each of the slots, one history after the other, each oldest first."""
    words = pool.shape[1]
    n = 0
    for i in range(len(slots)):
        begin, size, count, at = owned[slots[i]]
        if counts[i] < count:
            at += count - counts[i]
            count = counts[i]
        for _ in range(count):  # most histories are short: copying slices would take longer
            if at >= size:
                at -= size
            for w in range(words):
                out[n, w] = pool[begin + at, w]
            at += 1
            n += 1


@kernel
def release(pool: Array, owned: Array, sizes: Array, free: Array, slots: Array) -> None:
    """Give back the slots' blocks."""
    for i in range(len(slots)):
        own = owned[slots[i]]
        if own[SIZE] > 0:
            k = 0
            while sizes[k] < own[SIZE]:
                k += 1
            pool[own[BEGIN], 0] = np.uint32(free[k])
            free[k] = own[BEGIN]
            own[:] = 0


@kernel
def compact(pool: Array, owned: Array, into: Array) -> int:
    """Copy all blocks, one behind the other; the end of the last one."""
    end = 0
    for slot in range(len(owned)):
        own = owned[slot]
        for j in range(own[COUNT]):
            for w in range(pool.shape[1]):
                into[end + j, w] = pool[own[BEGIN] + j, w]
        if own[SIZE] > 0:
            own[BEGIN] = end
            end += own[SIZE]
    return end
