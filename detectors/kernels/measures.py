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
def standardise(x: Array, median: Array, scale: Array, limit: float, steps: float, out: Array) -> None:
    """``out = round((x - median) / scale, to 1 / steps)``, within ``±limit``; 0 for NaN."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            z = (np.float64(x[i, j]) - median[j]) / scale[j]
            z = 0.0 if z != z else z  # NaN
            z = -limit if z < -limit else z
            z = limit if z > limit else z
            out[i, j] = np.rint(z * steps) / steps


@kernel
def value_shares(x: Array, low: float, high: float, out: Array) -> None:
    """Shares of a row's values at or below ``low``, in each of equal parts up to ``high``, and from there on.

    ``x (n, d)``, ``out (n, 2 + parts)``. NaN is in none of them.
    """
    parts = out.shape[1] - 2
    for i in range(x.shape[0]):
        out[i] = 0.0
        for j in range(x.shape[1]):
            v = np.float64(x[i, j])
            if v <= low:
                out[i, 0] += 1.0
            elif v >= high:
                out[i, parts + 1] += 1.0
            elif v == v:  # no NaN
                out[i, 1 + min(int((v - low) / (high - low) * parts), parts - 1)] += 1.0
        out[i] /= x.shape[1]


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
