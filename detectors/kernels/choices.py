"""A few rows of each client, drawn by a rank that each row has."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]

_NONE: Final = -1


@kernel
def choose(order: Array, who: Array, rank: Array, nobody: int, quota: int, kept: Array) -> None:
    """Of each client the ``quota`` distinct rows of least rank; of rows that rank alike the first to come.

    Args:
        order: rows by client, each client's in order, int64 ``(n,)``. who: the client of each row, ``nobody`` for those
            that are not chosen from. rank: uint64 ``(n,)``, the same for equal rows only.
        kept: zeros, int64 ``(n,)``; set to how many rows of its client were chosen, where a row is.
    """
    best = np.full(quota, _NONE)
    begin = 0
    while begin < len(order):
        client = who[order[begin]]
        end = begin
        n = 0
        while end < len(order) and who[order[end]] == client:
            row = order[end]
            end += 1
            place = n
            while place > 0 and rank[row] < rank[best[place - 1]]:
                place -= 1
            if place == quota or (place > 0 and rank[row] == rank[best[place - 1]]):
                continue
            n = min(n + 1, quota)
            for i in range(n - 1, place, -1):
                best[i] = best[i - 1]
            best[place] = row
        if client != nobody:
            for i in range(n):
                kept[best[i]] = n
        begin = end
