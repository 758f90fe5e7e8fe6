"""How near rows of different clients come to one another in clean traffic, and below which distance hardly ever."""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.batch import FloatArray, IntArray

#: The rate aimed at: a clean row is this seldom within the radius of a given row of another client.
RATE: Final = 1e-7
#: Share of pairs, of the nearest ones, from which the tail of distances is drawn.
_TAIL: Final = 1e-3
_FEWEST: Final = 50
#: Share of rows, of those with the most neighbours, whose neighbourhood is looked at by itself.
_BUSY: Final = 0.05
#: The radius is at most the least clean distance divided by this.
_MARGIN: Final = 2.0
_MOST_DIMENSION: Final = 12.0
_LEAST_DIMENSION: Final = 0.5


def fit_meeting(z: FloatArray, digests: IntArray, client: IntArray) -> tuple[float, float]:
    """Radius and rate: at most ``rate`` of clean rows are within ``radius`` of any given row of another client.

    Args:
        z: projected clean rows, ``(n, k)``; ``digests``: of their bytes, ``(n,)``; ``client``: index, ``(n,)``.

    Pairs of different clients that are not identical are counted. With d0 the 0.1 % quantile of their distances, m the
    largest share of other clients' rows, each client counting the same, within d0 of any row, and the number of
    neighbours growing with distance to the power of k (Hill 1975; the least of all pairs, of pairs of the 5 % of rows
    with the most neighbours, and of either without any one client),

        radius = d0 (RATE / m)^(1 / k),

    but at most half the least distance seen; and if leaving out one client would make that grow by more than twice,
    at most by so much less: what one client alone does in clean traffic, another will do worse.
    """
    pairs, one, other = _pairs(z, digests, client)
    if len(pairs) < _FEWEST:
        return float(pairs[0]) / _MARGIN if len(pairs) else 1e-6, RATE
    tail = max(int(len(pairs) * _TAIL), _FEWEST)
    d0 = float(pairs[tail - 1])
    near, one, other = pairs[:tail], one[:tail], other[:tail]
    sizes = np.bincount(client).astype(np.float64)
    weight = np.bincount(np.concatenate([one, other]), minlength=len(z)).astype(np.float64)
    share = np.bincount(one, 1.0 / sizes[client[other]], len(z)) + np.bincount(other, 1.0 / sizes[client[one]], len(z))
    busiest = min(float(share.max()) / max(len(sizes) - 1, 1), 1.0)
    busy = weight >= np.quantile(weight, 1.0 - _BUSY)
    dimensions, least = [], []
    for left_out in [-1, *range(len(sizes))]:
        kept = (client[one] != left_out) & (client[other] != left_out)
        for some in (kept, kept & (busy[one] | busy[other])):
            if np.count_nonzero(some) >= _FEWEST:
                dimensions.append(1.0 / max(float(np.mean(np.log(d0 / near[some]))), 1.0 / _MOST_DIMENSION))
        least.append(float(near[kept][0]) if kept.any() else d0)
    dimension = max(min(dimensions, default=_LEAST_DIMENSION), _LEAST_DIMENSION)
    radius = d0 * (RATE / max(busiest, RATE)) ** (1.0 / dimension)
    closest = least[0] / max(_MARGIN, max(least) / least[0])
    return float(f"{min(radius, closest):.9g}"), RATE


def _pairs(z: FloatArray, digests: IntArray, client: IntArray) -> tuple[FloatArray, IntArray, IntArray]:
    """The nearest pairs of different clients, twice as many as the tail needs, ascending: distance and both rows."""
    n, found = len(z), []
    wanted = max(int(n * n * _TAIL), 2 * _FEWEST)
    for i in range(n - 1):
        d2 = np.sum((z[i + 1 :] - z[i]) ** 2, axis=1)
        ok = np.flatnonzero((client[i + 1 :] != client[i]) & (digests[i + 1 :] != digests[i]) & (d2 > 0))
        if len(ok) > wanted:
            ok = ok[np.argpartition(d2[ok], wanted)[:wanted]]
        found.append((d2[ok], np.full(len(ok), i), ok + i + 1))
    if not found:
        return np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64)
    d2, one, other = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.argsort(d2, kind="stable")
    return np.sqrt(d2[order]), one[order].astype(np.int64), other[order].astype(np.int64)
