"""Queries that can be told from earlier ones of their client: from one, or from two and the step between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]


@kernel
def foretold(
    order: Array,
    begins: Array,
    slots: Array,
    new: Array,
    pool: Array,
    queries: Array,
    owned: Array,
    ring: int,
    latest: int,
    most: float,
    least: float,
    near: Array,
    regular: Array,
    back: Array,
) -> None:
    """How near, in detail, each fresh row q is to an earlier query, and to where a step between two of them leads.

    Args:
        pool, queries: detail of the histories' entries and of the rows, int16 ``(m, 12)`` and ``(n, 12)``; all figures
            are in their whole steps.
        near: set to the least ``|q - a|^2`` over the ``ring`` queries a before it, ``(n,)``; -1 for repeats and without
            an earlier query.
        regular: set to the least ``|q - 2 a + b|^2`` over the ``latest`` queries a and all b, ``(n,)``, if it is below
            ``most``, which is the value otherwise; what is at most ``least`` is not told apart.
        back: int64 ``(n, 2)``, set to how many distinct queries ago those a and b were; 0 if there are none.
    """
    lanes = (ring + 7) // 8 * 8
    known, off = np.zeros((12, lanes), np.float32), np.zeros(lanes, np.float32)
    q, aim, two = np.empty(12, np.float32), np.empty(12, np.float32), np.float32(2.0)
    for client in range(len(begins) - 1):
        begin, size, count, oldest = owned[slots[order[begins[client]]]]
        for j in range(count):
            at = begin + (oldest + j) % size
            for k in range(12):
                known[k, j] = pool[at, k]
        total = int(count)
        for place in range(begins[client], begins[client + 1]):
            row = order[place]
            m = min(total, ring)
            near[row], regular[row] = -1.0, most
            back[row] = 0
            if not new[row]:
                continue
            for k in range(12):
                q[k] = queries[row, k]
            w = (m + 7) // 8 * 8  # whole vectors; what is beyond m is not looked at
            if m > 0:
                off[:w] = 0.0
                for k in range(12):
                    for j in range(w):
                        off[j] += (q[k] - known[k, j]) ** 2
                closest = off[0]
                for j in range(1, m):
                    closest = min(closest, off[j])
                near[row] = closest
            if m > 1:
                best, newest = np.float32(most), (total - 1) % ring
                k0, k1, k2, k3 = known[0, :w], known[1, :w], known[2, :w], known[3, :w]
                for i in range(min(latest, m)):
                    if best <= least:
                        break
                    a = newest - i if newest >= i else newest - i + ring
                    # Where b must have been; a third of its coordinates rules out nearly all.
                    b0, b1 = two * k0[a] - q[0], two * k1[a] - q[1]
                    b2, b3 = two * k2[a] - q[2], two * k3[a] - q[3]
                    for j in range(w):
                        off[j] = (k0[j] - b0) ** 2 + (k1[j] - b1) ** 2 + (k2[j] - b2) ** 2 + (k3[j] - b3) ** 2
                    left = 0
                    for j in range(m):
                        left += off[j] < best
                    if left:
                        for k in range(12):
                            aim[k] = two * known[k, a] - q[k]
                        for ago in range(m):
                            j = (total - 1 - ago) % ring
                            if off[j] < best and j != a:
                                found = np.float32(0.0)
                                for k in range(12):
                                    found += (known[k, j] - aim[k]) ** 2
                                if found < best:
                                    best = found
                                    back[row, 0], back[row, 1] = i + 1, ago + 1
                regular[row] = best
            at = total % ring
            for k in range(12):
                known[k, at] = q[k]
            total += 1
