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
def asked(
    order: Array,
    begins: Array,
    slots: Array,
    marks: Array,
    agreed: Array,
    pool_marks: Array,
    pool_agreed: Array,
    owned: Array,
    ring: int,
    same: int,
    record: int,
    new: Array,
    known: Array,
    records: Array,
) -> None:
    """Which rows agree in fewer than ``same`` bands with each of the client's last ``ring`` such rows before them.

    Args:
        marks: of the rows by band, ``(n, b)``; agreed: in how many bands they agree with a record, ``(n,)``; so many as
            ``record`` make them one. ``pool_marks``, ``pool_agreed``, ``owned``: histories.
        new: set to whether a row is one; known, records: how many the client had before it, and how many of these
            were records, ``(n,)``.
    """
    bands = marks.shape[1]
    before = np.empty((ring, bands), dtype=marks.dtype)
    is_record = np.empty(ring, dtype=np.int64)
    for client in range(len(begins) - 1):
        begin, size, count, oldest = owned[slots[order[begins[client]]]]
        held = 0
        for j in range(count):
            at = begin + (oldest + j) % size
            before[j], is_record[j] = pool_marks[at], pool_agreed[at] >= record
            held += is_record[j]
        total = int(count)
        for at in range(begins[client], begins[client + 1]):
            row = order[at]
            most = 0
            for j in range(min(total, ring)):
                alike = 0
                for band in range(bands):
                    alike += before[j, band] == marks[row, band]
                most = max(most, alike)
            new[row], known[row], records[row] = most < same, min(total, ring), held
            if most < same:
                place = total % ring
                held -= is_record[place] if total >= ring else 0
                before[place], is_record[place] = marks[row], agreed[row] >= record
                held += is_record[place]
                total += 1
