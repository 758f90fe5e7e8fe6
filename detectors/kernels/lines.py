"""Queries on the straight line between two earlier ones of their client."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]

#: More than single precision can be wrong by in a cosine, so that the first look misses nothing.
_SLACK: Final = np.float32(2e-6)


@kernel
def between(
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
    most: float,
    straight: Array,
    share: Array,
    back: Array,
) -> None:
    """How straight the way between two of the ``ring`` queries before it leads through each fresh row q.

    Args:
        pool_z, q_z: 8 coordinates of the histories' entries and of the rows, ``(m, 8)`` and ``(n, 8)``.
        straight: set to the largest 1 / sin^2 of the angle at q between the ways to one of the ``latest`` queries a and
            to any b, ``(n,)``, if it is obtuse, at most ``most``; 0 where none is above ``least``, -1 for repeats and
            with fewer than two earlier queries.
        share: set to how far q is on the way from a to b, ``(n,)``.
        back: int64 ``(n, 2)``, set to how many distinct queries ago a and b were.
    """
    lanes = (ring + 7) // 8 * 8
    z, way, unit = np.zeros((8, lanes), np.float32), np.zeros((8, lanes), np.float32), np.zeros((8, lanes), np.float32)
    length, cosine = np.zeros(lanes, np.float32), np.zeros(lanes, np.float32)
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
            straight[row], share[row] = -1.0, 0.0
            back[row] = 0
            if not new[row]:
                continue
            if m > 1:
                w = (m + 7) // 8 * 8  # whole vectors; what is beyond m is not looked at
                length[:w] = 0.0
                for k in range(8):
                    for j in range(w):
                        way[k, j] = q_z[row, k] - z[k, j]
                        length[j] += way[k, j] ** 2
                for j in range(w):
                    length[j] = np.float32(1.0) / np.sqrt(length[j])  # infinite for what is nowhere: no angle there
                for k in range(8):
                    for j in range(w):
                        unit[k, j] = way[k, j] * length[j]
                u0, u1, u2, u3 = unit[0, :w], unit[1, :w], unit[2, :w], unit[3, :w]
                u4, u5, u6, u7 = unit[4, :w], unit[5, :w], unit[6, :w], unit[7, :w]
                best, newest = float(least), (total - 1) % ring
                enough = np.float32(_SLACK - np.sqrt(1.0 - 1.0 / best))
                for i in range(min(latest, m)):
                    if best >= most:
                        break
                    a = newest - i if newest >= i else newest - i + ring
                    a0, a1, a2, a3, a4, a5, a6, a7 = u0[a], u1[a], u2[a], u3[a], u4[a], u5[a], u6[a], u7[a]
                    for j in range(w):  # nothing else to be done here: it becomes vector instructions
                        along = a0 * u0[j] + a1 * u1[j] + a2 * u2[j] + a3 * u3[j]
                        cosine[j] = along + (a4 * u4[j] + a5 * u5[j] + a6 * u6[j] + a7 * u7[j])
                    better = 0
                    for j in range(m):
                        better += cosine[j] < enough
                    if better:
                        for ago in range(m):
                            j = (total - 1 - ago) % ring
                            if cosine[j] < enough:
                                to_a, to_b, both = 0.0, 0.0, 0.0
                                for k in range(8):
                                    one, other = float(way[k, a]), float(way[k, j])
                                    to_a += one * one
                                    to_b += other * other
                                    both += one * other
                                off = to_a * to_b - both * both
                                found = to_a * to_b / off if off * most > to_a * to_b else most
                                if found > best:
                                    best = found
                                    enough = np.float32(_SLACK - np.sqrt(1.0 - 1.0 / best))
                                    share[row] = (to_a - both) / (to_a + to_b - 2.0 * both)
                                    back[row, 0], back[row, 1] = i + 1, ago + 1
                straight[row] = best if back[row, 0] else 0.0
            at = total % ring
            for k in range(8):
                z[k, at] = q_z[row, k]
            total += 1
