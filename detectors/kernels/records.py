"""Fingerprints of rows held against those of records, and against their clients' earlier rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]


@kernel
def agreeing(tags: Array, known: Array, begins: Array, out: Array) -> None:
    """In how many bands the tag of each row, ``tags (n, b)``, is a known one: ``out (n,)``.

    ``known``: those of all bands, each band's ascending; ``begins``: of each band, and behind them the end.
    """
    for i in range(tags.shape[0]):
        out[i] = 0
        for band in range(tags.shape[1]):
            low, high = begins[band], begins[band + 1]
            while low < high:
                middle = (low + high) // 2
                if known[middle] < tags[i, band]:
                    low = middle + 1
                else:
                    high = middle
            if low < begins[band + 1] and known[low] == tags[i, band]:
                out[i] += 1


@kernel
def unlike(
    order: Array,
    begins: Array,
    slots: Array,
    marks: Array,
    pool: Array,
    owned: Array,
    ring: int,
    least: int,
    new: Array,
) -> None:
    """Mark rows that agree in fewer than ``least`` bands with each of the client's last ``ring`` rows so marked.

    ``marks (n, b)``: of the rows by band; ``pool (m, b)``, ``owned``: histories.
    """
    bands = marks.shape[1]
    known = np.empty((ring, bands), dtype=marks.dtype)
    for client in range(len(begins) - 1):
        begin, size, count, oldest = owned[slots[order[begins[client]]]]
        for j in range(count):
            known[j] = pool[begin + (oldest + j) % size]
        total = int(count)
        for at in range(begins[client], begins[client + 1]):
            row = order[at]
            most = 0
            for j in range(min(total, ring)):
                same = 0
                for band in range(bands):
                    same += known[j, band] == marks[row, band]
                most = max(most, same)
            new[row] = most < least
            if most < least:
                known[total % ring] = marks[row]
                total += 1
