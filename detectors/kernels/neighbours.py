"""Walks of rows through their clients' latest distinct queries."""

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
    words: Array,
    longs: Array,
    q_words: Array,
    q_longs: Array,
    owned: Array,
    ring: int,
    radius: float,
    slack: float,
    nearest: Array,
    pairs: Array,
    figures: Array,
) -> int:
    """Distances of fresh rows (see ``fresh``) to the queries before them, and the near pairs; their number.

    Args:
        words, longs: the pool as float32 ``(m, 16)`` and int64 ``(m, 8)``: a query is its key (one long), its label
            (third word, an int32), its top probability (fourth word) and 12 coordinates. ``q_words``, ``q_longs``:
            the rows likewise.
        nearest: set to each row's least distance, infinite without an earlier query, NaN for repeats.
        pairs: int64 ``(p, 3)``, set to row, distinct queries back, and whether labels differ, of each pair nearer than
            ``radius`` and ``slack`` times the row's least distance. ``figures``: ``(p, 2)``, set to distance and change
            of the top probability, 0 if unknown.
    """
    keys = np.empty(ring, dtype=np.int64)
    labels = np.empty(ring, dtype=np.int64)
    tops = np.empty(ring)
    z = np.empty((12, ring))
    distance = np.empty(ring)
    n = 0
    for client in range(len(begins) - 1):
        begin, size, count, oldest = owned[slots[order[begins[client]]]]
        for j in range(count):
            at = begin + (oldest + j) % size
            keys[j] = longs[at, 0]
            labels[j] = longs[at, 1] & 0xFFFFFFFF
            tops[j] = words[at, 3]
            for k in range(12):
                z[k, j] = words[at, 4 + k]
        total = int(count)
        for place in range(begins[client], begins[client + 1]):
            row = order[place]
            key = q_longs[row, 0]
            m = min(total, ring)
            seen = False
            for j in range(m):
                seen |= keys[j] == key
            if seen:
                nearest[row] = np.nan
                continue
            q = q_words[row]
            label = q_longs[row, 1] & 0xFFFFFFFF
            # Added up as NumPy adds up a row of twelve.
            for j in range(m):
                a = (q[4] - z[0, j]) ** 2 + (q[5] - z[1, j]) ** 2
                b = (q[6] - z[2, j]) ** 2 + (q[7] - z[3, j]) ** 2
                c = (q[8] - z[4, j]) ** 2 + (q[9] - z[5, j]) ** 2
                d = (q[10] - z[6, j]) ** 2 + (q[11] - z[7, j]) ** 2
                s = (a + b) + (c + d)
                s += (q[12] - z[8, j]) ** 2
                s += (q[13] - z[9, j]) ** 2
                s += (q[14] - z[10, j]) ** 2
                s += (q[15] - z[11, j]) ** 2
                distance[j] = np.sqrt(s)
            least = np.inf
            for j in range(m):
                least = min(least, distance[j])
            nearest[row] = least
            if least < radius:
                for j in range(m):
                    if distance[j] < radius and distance[j] <= slack * least:
                        change = abs(np.float64(q[3]) - tops[j])
                        pairs[n, 0] = row
                        pairs[n, 1] = (total - 1 - j) % ring + 1
                        pairs[n, 2] = labels[j] != label
                        figures[n, 0] = distance[j]
                        figures[n, 1] = 0.0 if change != change else change  # NaN
                        n += 1
            at = total % ring
            keys[at] = key
            labels[at] = label
            tops[at] = q[3]
            for k in range(12):
                z[k, at] = q[4 + k]
            total += 1
    return n
