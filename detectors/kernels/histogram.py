"""How many values of each column lie above each of its edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]


@kernel
def above(x: Array, edges: Array, out: Array) -> None:
    """Rows of ``x (n, d)`` above each of ``edges (e, d)``, ascending down each column: ``out (e, d)``.

    Comparing with every edge becomes vector instructions, a search for the place among them does not.
    """
    n, d = x.shape
    many = edges.shape[0]
    rank, ranks = np.empty(d, dtype=np.int32), np.zeros((d, many + 1), dtype=np.int32)
    for i in range(n):
        row = x[i]
        rank[:] = 0
        for e in range(0, many - 3, 4):  # four at a time: the row and the ranks are loaded a quarter as often
            one, two, three, four = edges[e], edges[e + 1], edges[e + 2], edges[e + 3]
            for j in range(d):
                v = row[j]
                rank[j] += np.int32(v > one[j]) + np.int32(v > two[j]) + np.int32(v > three[j]) + np.int32(v > four[j])
        for e in range(many // 4 * 4, many):
            for j in range(d):
                rank[j] += np.int32(row[j] > edges[e, j])
        for j in range(d):
            ranks[j, rank[j]] += 1
    for j in range(d):
        total = 0
        for e in range(many, 0, -1):
            total += ranks[j, e]
            out[e - 1, j] = total
