"""How alike a client's rows are, and how many independent rows a window is worth.

Rows of one client resemble each other, so a window of 1000 rows from five clients says less than one from five hundred.
With intra-class correlation rho and n_c rows from client c, the variance of a share estimated from n rows is that of

    n_eff = 1 / ((1 - rho) / n + rho * kappa),    kappa = sum(n_c^2) / n^2

independent rows (the design effect of Kish, *Survey Sampling*, 1965; Rao & Scott, JASA 1981).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np

from detectors.batch import FloatArray, IntArray
from detectors.digest import text_bytes
from detectors.kernels.names import MODULUS, count_names

#: Clients are counted by hash into this many buckets, so that a window's size does not grow with its clients.
BUCKETS: Final = 256


def client_counts(clients: Sequence[str], salt: bytes) -> IntArray:
    """Rows per bucket of clients, int64 ``(BUCKETS,)``; ``salt`` keeps clients from choosing their bucket.

    A name's bytes are the coefficients of a polynomial, which is taken modulo 2**31 - 1 at a secret point: two names
    of at most n bytes share its value with a probability of at most n / 2**31 (Carter & Wegman, *Universal classes of
    hash functions*, 1979).
    """
    counts = np.zeros(BUCKETS, dtype=np.int64)
    count_names(*text_bytes(clients), *_secret(salt), counts)
    return counts


@cache
def _secret(salt: bytes) -> tuple[int, int]:
    """The point, and an odd factor whose product with the value has the bucket on top."""
    drawn = hashlib.blake2b(digest_size=16, key=salt).digest()
    point = 256 + int.from_bytes(drawn[:8], "little") % (MODULUS - 256)
    return point, int.from_bytes(drawn[8:12], "little") | 1


def concentration(counts: IntArray) -> float:
    """``kappa`` from bucket counts: 1/n if every row is another client's, 1 if all are one client's.

    Clients that share a bucket by chance are allowed for: E[sum b^2] = K + (n^2 - K) / BUCKETS for K = sum(n_c^2).
    """
    n = float(counts.sum())
    if n == 0:
        return 1.0
    squares = float(np.sum(counts.astype(np.float64) ** 2))
    corrected = (squares - n * n / BUCKETS) / (1.0 - 1.0 / BUCKETS)
    return float(np.clip(corrected / (n * n), 1.0 / n, 1.0))


def intra_class(above: FloatArray, rows: FloatArray) -> FloatArray:
    """Intra-class correlation of 0/1 indicators by analysis of variance, pooled over each feature's indicators.

    Args:
        above: ones per cluster, indicator and feature, ``(c, e, d)``.
        rows: rows per cluster and feature, ``(c, d)``; clusters without rows count for nothing.

    Returns:
        rho per feature, ``(d,)``, within [0, 1]; 0 where it cannot be told (one cluster, or a constant feature).
    """
    total = rows.sum(axis=0)
    clusters = np.count_nonzero(rows, axis=0)
    safe = np.maximum(rows, 1.0)[:, None, :]
    share = above / safe
    mean = above.sum(axis=0) / np.maximum(total, 1.0)
    between = np.sum(rows[:, None, :] * (share - mean) ** 2, axis=(0, 1)) / np.maximum(clusters - 1, 1)
    within = np.sum(above * (1.0 - share), axis=(0, 1)) / np.maximum(total - clusters, 1.0)
    size = (total - np.sum(rows**2, axis=0) / np.maximum(total, 1.0)) / np.maximum(clusters - 1, 1)
    spread = between + (size - 1.0) * within
    known = (clusters > 1) & (total > clusters) & (spread > 0)
    rho = np.where(known, (between - within) / np.where(known, spread, 1.0), 0.0)
    return np.asarray(np.clip(rho, 0.0, 1.0), dtype=np.float64)


def inverse_rows(rho: FloatArray, rows: IntArray, kappa: float, spread: float = 1.0) -> FloatArray:
    """``1 / n_eff`` per feature; infinite where there are no rows. ``spread``: see ``Summary.spread``."""
    with np.errstate(divide="ignore"):
        return np.asarray((1.0 - rho) * spread / rows + np.where(rows > 0, rho * kappa, np.inf), dtype=np.float64)
