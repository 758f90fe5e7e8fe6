"""Walks of rows through their clients' latest distinct queries.

Fresh rows, marked in ``new``, are those that are none of the queries before them (``fresh``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]


@kernel
def fresh(
    order: Array, begins: Array, slots: Array, keys: Array, pool_key: Array, owned: Array, ring: int, new: Array
) -> None:
    """Mark rows whose key is none of the ``ring`` distinct ones before it; ``pool_key``, ``owned``: histories."""
    known = np.empty(ring, dtype=np.int64)
    for client in range(len(begins) - 1):
        begin, size, count, oldest = owned[slots[order[begins[client]]]]
        for j in range(count):
            known[j] = pool_key[begin + (oldest + j) % size]
        total = int(count)
        for at in range(begins[client], begins[client + 1]):
            row = order[at]
            seen = False
            for j in range(min(total, ring)):
                seen |= known[j] == keys[row]
            new[row] = not seen
            if not seen:
                known[total % ring] = keys[row]
                total += 1


@kernel
def compare(
    order: Array,
    begins: Array,
    slots: Array,
    new: Array,
    pool_label: Array,
    pool_top: Array,
    pool_z: Array,
    q_label: Array,
    q_top: Array,
    q_z: Array,
    owned: Array,
    ring: int,
    radius: float,
    slack: float,
    nearest: Array,
    pairs: Array,
    figures: Array,
) -> int:
    """Distances of fresh rows to the queries before them, and the near pairs; their number.

    Args:
        pool_label, pool_top, pool_z: of the histories' entries: label, top probability, and 8 coordinates, ``(m, 8)``.
            ``q_label``, ...: of the rows likewise.
        nearest: set to each row's least distance, infinite without an earlier query, NaN for repeats.
        pairs: int64 ``(p, 3)``, set to row, distinct queries back, and whether labels differ, of each pair nearer than
            ``radius`` and ``slack`` times the row's least distance. ``figures``: ``(p, 2)``, set to distance and change
            of the top probability, 0 if unknown.
    """
    labels = np.empty(ring, dtype=np.int64)
    tops = np.empty(ring)
    lanes = (ring + 7) // 8 * 8
    z, distance = np.zeros((8, lanes)), np.empty(lanes)
    n = 0
    for client in range(len(begins) - 1):
        begin, size, count, oldest = owned[slots[order[begins[client]]]]
        for j in range(count):
            at = begin + (oldest + j) % size
            labels[j] = pool_label[at]
            tops[j] = pool_top[at]
            for k in range(8):
                z[k, j] = pool_z[at, k]
        total = int(count)
        for place in range(begins[client], begins[client + 1]):
            row = order[place]
            m = min(total, ring)
            if not new[row]:
                nearest[row] = np.nan
                continue
            q = q_z[row]
            for j in range((m + 7) // 8 * 8):  # whole vectors; what is beyond m is not looked at
                a = (q[0] - z[0, j]) ** 2 + (q[1] - z[1, j]) ** 2
                b = (q[2] - z[2, j]) ** 2 + (q[3] - z[3, j]) ** 2
                c = (q[4] - z[4, j]) ** 2 + (q[5] - z[5, j]) ** 2
                d = (q[6] - z[6, j]) ** 2 + (q[7] - z[7, j]) ** 2
                distance[j] = np.sqrt((a + b) + (c + d))
            least = np.inf
            for j in range(m):
                least = min(least, distance[j])
            nearest[row] = least
            if least < radius:
                for j in range(m):
                    if distance[j] < radius and distance[j] <= slack * least:
                        change = abs(np.float64(q_top[row]) - tops[j])
                        pairs[n, 0] = row
                        pairs[n, 1] = (total - 1 - j) % ring + 1
                        pairs[n, 2] = labels[j] != q_label[row]
                        figures[n, 0] = distance[j]
                        figures[n, 1] = 0.0 if change != change else change  # NaN
                        n += 1
            at = total % ring
            labels[at] = q_label[row]
            tops[at] = q_top[row]
            for k in range(8):
                z[k, at] = q[k]
            total += 1
    return n


@kernel
def count_turns(
    order: Array,
    begins: Array,
    slots: Array,
    new: Array,
    pool_label: Array,
    pool_z: Array,
    q_label: Array,
    q_z: Array,
    owned: Array,
    ring: int,
    radius: float,
    turns: Array,
    near: Array,
) -> None:
    """How often the label changes along the queries near each fresh row, oldest first, and the row.

    ``turns``: int64, 0 if it does not change at the row itself, -1 for repeats and without an earlier query.
    ``near``: int64, queries nearer than ``radius``.
    """
    labels = np.empty(ring, dtype=np.int64)
    lanes = (ring + 7) // 8 * 8
    z, squared = np.zeros((8, lanes)), np.empty(lanes)
    for client in range(len(begins) - 1):
        begin, size, count, oldest = owned[slots[order[begins[client]]]]
        for j in range(count):
            at = begin + (oldest + j) % size
            labels[j] = pool_label[at]
            for k in range(8):
                z[k, j] = pool_z[at, k]
        total = int(count)
        for place in range(begins[client], begins[client + 1]):
            row = order[place]
            m = min(total, ring)
            turns[row], near[row] = -1, 0
            if not new[row]:
                continue
            w = (m + 7) // 8 * 8  # whole vectors; what is beyond m is not looked at
            squared[:w] = 0.0
            for k in range(8):
                for j in range(w):
                    squared[j] += (q_z[row, k] - z[k, j]) ** 2
            if m > 0:
                turns[row] = 0
                last = -1
                oldest_of_all = (total - m) % ring
                for i in range(m):
                    j = oldest_of_all + i if oldest_of_all + i < ring else oldest_of_all + i - ring
                    if squared[j] < radius * radius:
                        near[row] += 1
                        turns[row] += last >= 0 and labels[j] != last
                        last = labels[j]
                turns[row] = turns[row] + 1 if last >= 0 and q_label[row] != last else 0
            at = total % ring
            labels[at] = q_label[row]
            for k in range(8):
                z[k, at] = q_z[row, k]
            total += 1
