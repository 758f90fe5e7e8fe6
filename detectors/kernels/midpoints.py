"""Queries halfway between two earlier ones of their client."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]

#: More than rounding can take from a bound, so that the best of all is found in whatever order they are looked at.
_SLACK: Final = np.float32(1.000001)


@kernel
def halfway(
    order: Array,
    begins: Array,
    slots: Array,
    new: Array,
    pool_z: Array,
    q_z: Array,
    owned: Array,
    ring: int,
    latest: int,
    least: float,
    ratio: Array,
    back: Array,
) -> None:
    """How well each fresh row q halves the way between two of the ``ring`` queries before it.

    ``ratio (n,)``: the largest ``|q - a|^2 / |2 q - a - b|^2`` over the ``latest`` queries a and all b; 0 where it is
    not above ``least``, -1 for repeats and with fewer than two earlier queries. ``back``: int64 ``(n, 2)``, how many
    distinct queries ago a and b were.
    """
    z, way, length = np.empty((8, ring), np.float32), np.empty((8, ring), np.float32), np.empty(ring, np.float32)
    for client in range(len(begins) - 1):
        begin, size, count, oldest = owned[slots[order[begins[client]]]]
        for j in range(count):
            at = begin + (oldest + j) % size
            for k in range(8):
                z[k, j] = pool_z[at, k]
        total = int(count)
        for place in range(begins[client], begins[client + 1]):
            row = order[place]
            m = min(total, ring)
            ratio[row] = -1.0
            back[row] = 0
            if not new[row]:
                continue
            if m > 1:
                length[:m] = 0.0
                for k in range(8):
                    for j in range(m):
                        way[k, j] = q_z[row, k] - z[k, j]
                        length[j] += way[k, j] ** 2
                best = np.float32(least)
                w0, w1, w2, w3 = way[0, :m], way[1, :m], way[2, :m], way[3, :m]
                w4, w5, w6, w7 = way[4, :m], way[5, :m], way[6, :m], way[7, :m]
                for i in range(min(latest, m)):
                    a = (total - 1 - i) % ring
                    enough = length[a] / best * _SLACK
                    a0, a1, a2, a3, a4, a5, a6, a7 = w0[a], w1[a], w2[a], w3[a], w4[a], w5[a], w6[a], w7[a]
                    better = np.int32(0)
                    for j in range(m):  # no branches and no place to keep: it becomes vector instructions
                        left = (a0 + w0[j]) ** 2 + (a1 + w1[j]) ** 2 + (a2 + w2[j]) ** 2 + (a3 + w3[j]) ** 2
                        left += (a4 + w4[j]) ** 2 + (a5 + w5[j]) ** 2 + (a6 + w6[j]) ** 2 + (a7 + w7[j]) ** 2
                        better += np.int32(left < enough)
                    if better:
                        for ago in range(m):
                            j = (total - 1 - ago) % ring
                            left = np.float32(0.0)
                            for k in range(8):
                                left += (way[k, a] + way[k, j]) ** 2
                            found = length[a] / left  # infinite for exactly half
                            if found > best:
                                best = found
                                back[row, 0], back[row, 1] = i + 1, ago + 1
                ratio[row] = best if back[row, 0] else 0.0
            at = total % ring
            for k in range(8):
                z[k, at] = q_z[row, k]
            total += 1
