"""Blacklight (Li, Shan, Wenger, Zhang, Zheng, Zhao 2022, USENIX Security, arXiv 2006.14042), from the paper."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

#: The paper's quantisation step of 50 grey levels, and how many hashes make a fingerprint.
STEP = 50.0 / 255.0
TOP = 50
#: Of a whole fingerprint of 50, more than this shared with one earlier query is an attack.
THRESHOLD = 25
#: The paper's window for MNIST.
WINDOW = 50

Hashes = npt.NDArray[np.uint64]


def matches(x: npt.NDArray[np.float64], salt: int = 1) -> npt.NDArray[np.bool_]:
    """Which queries ``(n, d)`` in [0, 1], in their order, share too much with an earlier one: bool ``(n,)``.

    A query is quantised, ``⌊x / (50/255)⌋``; every window of ``w`` neighbouring values is hashed with a salt; its
    fingerprint is the set of the 50 greatest hashes. ``max over earlier queries of |F ∩ F'| > 25`` is a match; every
    query joins the history. The hash is a salted polynomial with a 64-bit mixer where the paper has SHA-256: the same
    but for collisions. The paper speaks of pictures; rows with fewer than 100 values have ``w = max(2, d // 10)``, and
    the line is half of the windows they have.
    """
    d = x.shape[1]
    window = WINDOW if d >= 2 * WINDOW else max(2, d // 10)
    windows = d - window + 1
    line = THRESHOLD if windows >= TOP else windows // 2
    found: npt.NDArray[np.bool_] = _walk(_fingerprints(np.floor(x / STEP).astype(np.int64), window, salt), line)
    return found


def _compiled(function: Any) -> Any:
    return njit(cache=True)(function)


@_compiled
def _fingerprints(quantised, window, salt):  # compiled: types are NumPy's
    """Greatest hashes of each row without repeats, ascending, ``(n, TOP)``; 0 where there are fewer."""
    n, d = quantised.shape
    out = np.zeros((n, TOP), dtype=np.uint64)
    base = np.uint64(0x9E3779B97F4A7C15)
    power = np.uint64(1)
    for _ in range(window):
        power *= base
    hashes = np.empty(d - window + 1, dtype=np.uint64)
    for i in range(n):
        rolling = np.uint64(0)
        for j in range(d):
            rolling = rolling * base + np.uint64(quantised[i, j] + 1)
            if j >= window:
                rolling -= power * np.uint64(quantised[i, j - window] + 1)
            if j >= window - 1:
                mixed = rolling + np.uint64(salt) * np.uint64(0xD1B54A32D192ED03)
                mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
                mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
                hashes[j - window + 1] = (mixed ^ (mixed >> np.uint64(31))) | np.uint64(1)
        kept = TOP
        ordered = np.sort(hashes)
        for k in range(len(ordered) - 1, -1, -1):
            if k < len(ordered) - 1 and ordered[k] == ordered[k + 1]:
                continue
            kept -= 1
            out[i, kept] = ordered[k]
            if kept == 0:
                break
    return out


@_compiled
def _walk(prints, line):  # compiled: types are NumPy's
    """Exact, by an inverted index: sets sharing more than ``line`` share one of the ``size - line`` rarest of each."""
    n, top = prints.shape
    cells = 1
    while cells < 2 * n * top:
        cells *= 2
    keys, newest, counts = np.zeros(cells, np.uint64), np.full(cells, -1, np.int64), np.zeros(cells, np.int64)
    older = np.full(n * top, -1, np.int64)
    looked_at = np.full(n, -1, np.int64)
    found = np.zeros(n, np.bool_)
    at = np.empty(top, np.int64)
    for i in range(n):
        size = 0
        for k in range(top):
            if prints[i, k] == 0:
                continue
            cell = np.int64(prints[i, k] & np.uint64(cells - 1))
            while keys[cell] != 0 and keys[cell] != prints[i, k]:
                cell = (cell + 1) & (cells - 1)
            keys[cell] = prints[i, k]
            at[size] = cell
            size += 1
        order = np.argsort(counts[at[:size]])
        for r in range(max(size - line, 0)):
            entry = newest[at[order[r]]]
            while entry >= 0 and not found[i]:
                other = entry // top
                if looked_at[other] != i:
                    looked_at[other] = i
                    a, b, shared = top - 1, top - 1, 0
                    while a >= 0 and b >= 0 and prints[i, a] != 0 and prints[other, b] != 0:
                        if prints[i, a] == prints[other, b]:
                            shared += 1
                            a -= 1
                            b -= 1
                        elif prints[i, a] > prints[other, b]:
                            a -= 1
                        else:
                            b -= 1
                    found[i] = shared > line
                entry = older[entry]
            if found[i]:
                break
        for s in range(size):
            entry = i * top + s
            older[entry], newest[at[s]] = newest[at[s]], entry
            counts[at[s]] += 1
    return found
