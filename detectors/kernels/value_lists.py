"""Lists of values that features have, and which unseen values are new to their clients."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]


@kernel
def unseen(
    words: Array, feature: Array, begins: Array, values: Array, bits: Array, key: Array, keys: Array, weights: Array
) -> None:
    """The first values of each row that are in no list, as keys never 0, with the bits of their features.

    Args:
        words: uint32 ``(n, d)``. feature: those with a list, ascending. begins: of each one's list in ``values``, and
            behind them the end; each list is ascending as int32. bits: ``(lists,)``. key: multipliers ``(d,)``.
        keys, weights: zeros ``(n, most)``, filled from the left.
    """
    for i in range(words.shape[0]):
        n = 0
        for f in range(len(feature)):
            word = words[i, feature[f]]
            value = np.int64(np.int32(word))
            low, high = begins[f], begins[f + 1]
            while low < high:
                middle = (low + high) // 2
                if values[middle] < value:
                    low = middle + 1
                else:
                    high = middle
            if low == begins[f + 1] or values[low] != value:
                keys[i, n] = np.int64((np.uint64(word) * key[feature[f]]) | np.uint64(1))
                weights[i, n] = bits[f]
                n += 1
                if n == keys.shape[1]:
                    break


@kernel
def first_seen(
    order: Array,
    begins: Array,
    slots: Array,
    keys: Array,
    weights: Array,
    pool: Array,
    owned: Array,
    ring: int,
    scores: Array,
    new: Array,
) -> None:
    """Which keys ``(n, most)`` (0: none) are none of the client's last ``ring`` new ones, and the sum of their weights.

    ``scores (n,)`` and ``new (n, most)`` are zeros. ``pool``, ``owned``: histories.
    """
    known = np.empty(ring, dtype=np.int64)
    for client in range(len(begins) - 1):
        begin, size, count, oldest = owned[slots[order[begins[client]]]]
        for j in range(count):
            known[j] = pool[begin + (oldest + j) % size]
        total = int(count)
        for at in range(begins[client], begins[client + 1]):
            row = order[at]
            for k in range(keys.shape[1]):
                if keys[row, k] == 0:
                    break
                seen = False
                for j in range(min(total, ring)):
                    seen |= known[j] == keys[row, k]
                if not seen:
                    new[row, k] = True
                    scores[row] += weights[row, k]
                    known[total % ring] = keys[row, k]
                    total += 1
