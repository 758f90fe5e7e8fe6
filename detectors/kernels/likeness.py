"""Walks of rows through their clients' latest distinct queries: how alike they are in outline, in parts.

Fresh rows, marked in ``new``, are those that are none of the queries before them (``fresh`` in ``neighbours``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]


@kernel
def equal_blocks(
    order: Array,
    begins: Array,
    slots: Array,
    new: Array,
    pool_blocks: Array,
    q_blocks: Array,
    owned: Array,
    ring: int,
    single: bool,
    weights: Array,
    best: Array,
    equal: Array,
) -> None:
    """Largest weight, over the queries before them, of the blocks that fresh rows share with it.

    Args:
        single: a single query is enough; else the second largest weight counts.
        pool_blocks, q_blocks: int64 ``(m, 2)``, sixteen hashes of a byte. weights: ``(16, 256)``, of each value.
        best: NaN for repeats and without an earlier query, 0 where two are needed and there is one.
        equal: int64, how many blocks some query shares that has at least this weight.
    """
    blocks = np.empty((ring, 2), dtype=np.int64)
    for client in range(len(begins) - 1):
        begin, size, count, oldest = owned[slots[order[begins[client]]]]
        for j in range(count):
            at = begin + (oldest + j) % size
            blocks[j, 0], blocks[j, 1] = pool_blocks[at, 0], pool_blocks[at, 1]
        total = int(count)
        for place in range(begins[client], begins[client + 1]):
            row = order[place]
            m = min(total, ring)
            best[row], equal[row] = np.nan, 0
            if not new[row]:
                continue
            if m > 0:
                best[row] = 0.0
            first = second = 0.0
            for j in range(m):
                weight, same = 0.0, 0
                for half in range(2):
                    mine = q_blocks[row, half]
                    differing = mine ^ blocks[j, half]
                    for b in range(8):
                        if (differing >> (8 * b)) & 0xFF == 0:
                            same += 1
                            weight += weights[8 * half + b, (mine >> (8 * b)) & 0xFF]
                if weight > first:
                    first, second = weight, first
                elif weight > second:
                    second = weight
                if weight >= best[row]:
                    equal[row] = same
                best[row] = first if single else second
            at = total % ring
            blocks[at, 0], blocks[at, 1] = q_blocks[row, 0], q_blocks[row, 1]
            total += 1


@kernel
def second_ratio(
    order: Array,
    begins: Array,
    slots: Array,
    new: Array,
    pool_detail: Array,
    pool_outline: Array,
    q_detail: Array,
    q_outline: Array,
    owned: Array,
    ring: int,
    least: float,
    ratios: Array,
    figures: Array,
) -> None:
    """Second largest ratio of the squared distances in detail and in outline, both in whole steps, of fresh rows
    to the queries before them, if all squared distances in detail are at least ``least``.

    Args:
        pool_detail, pool_outline, q_detail, q_outline: int16 ``(m, 12)``.
        ratios: NaN for repeats and without an earlier query; 0 if there are fewer than two, or some query is nearer.
        figures: int64 ``(n, 2)``, the two squared distances.
    """
    known = np.empty((2, 12, ring), dtype=np.int64)
    squared = np.empty((2, ring), dtype=np.int64)
    for client in range(len(begins) - 1):
        begin, size, count, oldest = owned[slots[order[begins[client]]]]
        for j in range(count):
            at = begin + (oldest + j) % size
            for k in range(12):
                known[0, k, j] = pool_detail[at, k]
                known[1, k, j] = pool_outline[at, k]
        total = int(count)
        for place in range(begins[client], begins[client + 1]):
            row = order[place]
            m = min(total, ring)
            ratios[row] = np.nan
            figures[row, 0], figures[row, 1] = 0, 0
            if not new[row]:
                continue
            if m > 0:
                squared[:, :m] = 0
                for k in range(12):
                    a, b = np.int64(q_detail[row, k]), np.int64(q_outline[row, k])
                    for j in range(m):
                        squared[0, j] += (a - known[0, k, j]) * (a - known[0, k, j])
                    for j in range(m):
                        squared[1, j] += (b - known[1, k, j]) * (b - known[1, k, j])
                first = second = 0.0
                i1 = i2 = -1
                for j in range(m):
                    if squared[0, j] < least:
                        first = second = 0.0
                        i2 = -1
                        break
                    ratio = squared[0, j] / np.float64(max(squared[1, j], 1))
                    if ratio > first:
                        first, second = ratio, first
                        i1, i2 = j, i1
                    elif ratio > second:
                        second, i2 = ratio, j
                ratios[row] = second
                if i2 >= 0:
                    figures[row, 0], figures[row, 1] = squared[0, i2], squared[1, i2]
            at = total % ring
            for k in range(12):
                known[0, k, at], known[1, k, at] = q_detail[row, k], q_outline[row, k]
            total += 1
