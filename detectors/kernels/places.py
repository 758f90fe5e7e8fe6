"""Walk of rows through places: which of them are new to their clients, and which of those are leaps."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]


@kernel
def entering(
    order: Array,
    begins: Array,
    slots: Array,
    places: Array,
    pool: Array,
    owned: Array,
    apart: int,
    leap: int,
    latest: int,
    ring: int,
    new: Array,
    entries: Array,
    leaps: Array,
) -> None:
    """Mark rows whose place equals none of the client's last ``ring`` new places and differs in at least ``apart``
    bits from each of the last ``latest``; rows count as history of later ones.

    ``pool``: visits as 32-bit words ``(m, 3)`` (``detectors.regions``); ``owned``: whose they are. ``entries`` and
    ``leaps``, uint8 ``(n,)``, are set for new rows: how many entries, and how many that differ in ``leap`` bits, there
    have been, modulo 128; 128 more if the row is one.
    """
    known = np.empty(ring, dtype=np.int64)
    for client in range(len(begins) - 1):
        begin, size, count, oldest = owned[slots[order[begins[client]]]]
        entry, leapt = np.int64(0), np.int64(0)
        for j in range(count):
            at = begin + (oldest + j) % size
            known[j] = np.int64(pool[at, 0]) | (np.int64(pool[at, 1]) << 32)
            if j == count - 1:
                entry = np.int64(pool[at, 2] >> 16) & 127
                leapt = np.int64(pool[at, 2] >> 24) & 127
        total = int(count)
        for at in range(begins[client], begins[client + 1]):
            row = order[at]
            place = places[row]
            fresh = True
            for j in range(min(total, ring)):
                if known[j] == place:
                    fresh = False
                    break
            back = 1
            nearest = leap
            while fresh and back <= min(total, latest):
                bits = place ^ known[(total - back) % ring]
                differing = 0
                while bits != 0 and differing < leap:
                    bits &= bits - 1
                    differing += 1
                nearest = min(nearest, differing)
                fresh = differing >= apart
                back += 1
            new[row] = fresh
            if fresh:
                known[total % ring] = place
                total += 1
                entry = (entry + 1) & 127
                entries[row] = entry | 128
                if nearest >= leap:
                    leapt = (leapt + 1) & 127
                    leaps[row] = leapt | 128
                else:
                    leaps[row] = leapt
