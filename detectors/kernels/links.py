"""Rows of many clients that share a cell, compared with one another."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]


@kernel
def among(cells: Array, wanted: Array, table: Array, out: Array) -> None:
    """``out[i]``: is ``cells[i]`` one of ``wanted``? ``table``: int64, full of -1, a power of two of at least twice as
    many places as ``wanted`` has."""
    mask = len(table) - 1
    for w in range(len(wanted)):
        # Cells are hashes: any of their bits will do.
        at = wanted[w] & mask
        while table[at] >= 0 and wanted[table[at]] != wanted[w]:
            at = (at + 1) & mask
        table[at] = w
    for i in range(len(cells)):
        at = cells[i] & mask
        while table[at] >= 0 and wanted[table[at]] != cells[i]:
            at = (at + 1) & mask
        out[i] = table[at] >= 0


@kernel
def link(
    cells: Array,
    z: Array,
    digests: Array,
    clients: Array,
    labels: Array,
    fresh: Array,
    reach: int,
    reach_differing: int,
    back: int,
    most: int,
    silent: Array,
    pairs: Array,
    squares: Array,
) -> int:
    """Pairs of a fresh row and an earlier one of another client that is near but no copy; their number.

    A row is compared with the ``back`` rows before it in its cell that are not silent. It is silent if one of them has
    its digest. It has no pairs if it is silent, or near one of its own client; else the ``most`` latest rows of
    different clients that are near.

    Args:
        cells: ``(n,)``, equal ones together, each cell's rows in order. z: int16 ``(n, k)``.
        digests, clients, labels: ``(n,)``.
        fresh: rows whose pairs are wanted, bool ``(n,)``. reach: whole units, and ``reach_differing`` for
            rows whose labels differ.
        silent: set, bool ``(n,)``; rows that are not fresh must be False.
        pairs: int64 ``(p, 2)``, set to later and earlier row; ``squares (p,)``: squared distance in units.
    """
    n = 0
    begin = 0
    limit = np.int64(reach) * np.int64(reach)
    differing = np.int64(reach_differing) * np.int64(reach_differing)
    for row in range(len(cells)):
        if row and cells[row] != cells[row - 1]:
            begin = row
        if not fresh[row]:
            continue
        first = n
        looked = 0
        mute = False
        at = row - 1
        while at >= begin and looked < back:
            if silent[at]:
                at -= 1
                continue
            looked += 1
            if digests[at] == digests[row]:
                silent[row] = True
                mute = True
                break
            total = np.int64(0)
            for k in range(z.shape[1]):
                difference = np.int64(np.int16(z[row, k] - z[at, k]))
                total += difference * difference
            if total < limit or total < differing:
                if clients[at] == clients[row]:
                    mute = True
                elif total >= limit and labels[at] == labels[row]:
                    pass
                elif n - first < most:
                    known = False
                    for pair in range(first, n):
                        known |= clients[pairs[pair, 1]] == clients[at]
                    if not known:
                        pairs[n, 0] = row
                        pairs[n, 1] = at
                        squares[n] = total
                        n += 1
            at -= 1
        if mute:
            n = first
    return n
