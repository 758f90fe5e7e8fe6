"""Walk of rows through places by leaps, and means of values by blocks."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]


@kernel
def leaping(
    order: Array, begins: Array, places: Array, step: int, leap: int, latest: Array, seen: Array, out: Array
) -> None:
    """Mark rows whose place differs in at least ``leap`` bits from each of its client's latest ones.

    Those that differ in ``step`` bits from each are the latest themselves from then on. ``latest (c, l)``, ``seen
    (c,)``: places of each client and how many there have been; both are brought up to date.
    """
    length = latest.shape[1]
    for client in range(len(begins) - 1):
        for at in range(begins[client], begins[client + 1]):
            row = order[at]
            nearest = 64
            for back in range(min(seen[client], length)):
                bits = places[row] ^ latest[client, back]
                differing = 0
                while bits != 0 and differing < leap:
                    bits &= bits - 1
                    differing += 1
                nearest = min(nearest, differing)
            out[row] = nearest >= leap
            if nearest >= step:
                latest[client, seen[client] % length] = places[row]
                seen[client] += 1


@kernel
def block_means(
    order: Array,
    begins: Array,
    values: Array,
    block: int,
    longest: int,
    sums: Array,
    counts: Array,
    rows: Array,
    out: Array,
) -> None:
    """At each row that ends a block of its client's values, NaN left out, their mean; nothing at others.

    A block that is not full after ``longest`` rows, those with NaN included, is given up.
    ``sums``, ``counts``, ``rows (c,)``: of the blocks that go on; all are brought up to date.
    """
    for client in range(len(begins) - 1):
        for at in range(begins[client], begins[client + 1]):
            row = order[at]
            if counts[client] > 0:
                rows[client] += 1
                if rows[client] > longest:
                    sums[client] = 0.0
                    counts[client] = 0
            if values[row] == values[row]:  # no NaN
                if counts[client] == 0:
                    rows[client] = 1
                sums[client] += values[row]
                counts[client] += 1
                if counts[client] == block:
                    out[row] = sums[client] / block
                    sums[client] = 0.0
                    counts[client] = 0
