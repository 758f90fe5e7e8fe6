"""Measures of single rows."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]

_FNV_PRIME: Final = np.uint64(0x100000001B3)
_FNV_OFFSET: Final = np.uint64(0xCBF29CE484222325)


@kernel
def standardise(x: Array, median: Array, scale: Array, centre: Array, limit: float, steps: float, out: Array) -> None:
    """``out = z - centre`` with ``z = round((x - median) / scale, to 1 / steps)``, within ``±limit``; 0 for NaN.

    ``steps`` must be a power of two.
    """
    step, most = 1.0 / steps, limit * steps
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            z = np.rint((np.float64(x[i, j]) - median[j]) / scale[j] * steps)
            z = -most if z < -most else z
            z = most if z > most else z
            z = z * step if z == z else 0.0  # NaN is not itself
            out[i, j] = z - centre[j]


@kernel
def value_shares(x: Array, low: float, high: float, out: Array) -> None:
    """Shares of a row's values at or below ``low``, in each of equal parts up to ``high``, and from there on.

    ``x (n, d)``, ``out (n, 2 + parts)``. NaN is in none of them.
    """
    d, parts = x.shape[1], out.shape[1] - 2
    at = np.empty(d, dtype=np.int32)
    # Neighbours often lie in the same part: with one count for both, the second would wait for the first.
    counts = np.empty((2, parts + 3), dtype=np.int32)
    for i in range(x.shape[0]):
        for j in range(d):  # no branches: they become vector instructions
            v = np.float64(x[i, j])
            share = (v - low) / (high - low) * parts
            share = max(share, np.float64(0.0))
            share = min(share, np.float64(parts - 1))
            part = 1 + np.int32(share)
            part = np.int32(0) if v <= low else part
            part = np.int32(parts + 1) if v >= high and v > low else part
            at[j] = part if v == v else np.int32(parts + 2)
        counts[:] = 0
        for j in range(d // 2):
            counts[0, at[2 * j]] += 1
            counts[1, at[2 * j + 1]] += 1
        if d % 2:
            counts[0, at[d - 1]] += 1
        for k in range(parts + 2):
            out[i, k] = (counts[0, k] + counts[1, k]) / d


@kernel
def multilinear(words: Array, key: Array, out: Array) -> None:
    """Sum of ``words (n, d)`` times ``key (d,)`` modulo 2**64."""
    for i in range(words.shape[0]):
        total = np.uint64(0)
        for j in range(words.shape[1]):
            total += np.uint64(words[i, j]) * key[j]
        out[i] = total


@kernel
def fnv1a(data: Array, ends: Array, out: Array) -> None:
    """64-bit FNV-1a hash of each piece of ``data``; piece i ends before ``ends[i]``."""
    begin = 0
    for i in range(len(ends)):
        h = _FNV_OFFSET
        for k in range(begin, ends[i]):
            h = (h ^ np.uint64(data[k])) * _FNV_PRIME
        out[i] = h
        begin = ends[i]


@kernel
def sides(projected: Array, least: float, out: Array) -> None:
    """Bit k of ``out[i]`` says whether ``projected[i, k] > least``."""
    for i in range(projected.shape[0]):
        bits = np.int64(0)
        for k in range(projected.shape[1]):
            if projected[i, k] > least:
                bits |= np.int64(1) << k
        out[i] = bits


@kernel
def third_least(products: Array, squares: Array, references: Array, out: Array) -> None:
    """Third least, over m, of ``squares[i] + references[m] - 2 products[i, m]``; the greatest if there are fewer."""
    few = products.shape[1]
    for i in range(products.shape[0]):
        first = second = third = np.inf
        for m in range(few):
            v = (squares[i] + references[m]) - 2.0 * products[i, m]
            if v < third:
                if v < second:
                    third = second
                    if v < first:
                        second = first
                        first = v
                    else:
                        second = v
                else:
                    third = v
        out[i] = third if few > 2 else (second if few == 2 else first)
