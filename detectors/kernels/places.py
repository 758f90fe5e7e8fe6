"""Walk of rows through places: which of them are new to their clients."""

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
    latest: int,
    ring: int,
    new: Array,
) -> None:
    """Mark rows whose place equals none of the client's last ``ring`` new places and differs in at least ``apart``
    bits from each of the last ``latest``; rows count as history of later ones. ``pool``, ``owned``: histories.
    """
    known = np.empty(ring, dtype=np.int64)
    for client in range(len(begins) - 1):
        begin, size, count, oldest = owned[slots[order[begins[client]]]]
        for j in range(count):
            known[j] = pool[begin + (oldest + j) % size]
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
            while fresh and back <= min(total, latest):
                bits = place ^ known[(total - back) % ring]
                differing = 0
                while bits != 0 and differing < apart:
                    bits &= bits - 1
                    differing += 1
                fresh = differing >= apart
                back += 1
            new[row] = fresh
            if fresh:
                known[total % ring] = place
                total += 1
