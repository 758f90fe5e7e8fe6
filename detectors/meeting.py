"""How near rows of different clients come to one another in clean traffic, and below which distance hardly ever."""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.batch import FloatArray, IntArray

#: Rates aimed at: a clean row is this seldom within a radius of a given row of another client.
RATES: Final = (1e-5, 1e-6, 1e-7)
#: Share of pairs, of the nearest ones, from which the tail of distances is drawn.
_TAIL: Final = 1e-3
_FEWEST: Final = 50
#: Nearest later rows of one row that are looked at.
_MOST_OF_ROW: Final = 200
#: Radius where no two clients sent different rows.
_NONE: Final = 1e-6
#: Share of rows, of those with the most neighbours, whose neighbourhood is looked at by itself.
_BUSY: Final = 0.05
#: The radius is at most the least clean distance divided by this.
_MARGIN: Final = 2.0
_CELLS: Final = 4.0
_MOST_DIMENSION: Final = 12.0
_LEAST_DIMENSION: Final = 0.5


def fit_meeting(z: FloatArray, digests: IntArray, client: IntArray, labels: IntArray) -> tuple[FloatArray, FloatArray]:
    """Radii of pairs, and of pairs whose answers differ, each ``(len(RATES),)``: below them lie so few.

    Args:
        z: projected clean rows, ``(n, k)``; ``digests``: of their bytes, ``(n,)``; ``client``: index, ``(n,)``;
            ``labels``: served, ``(n,)``.

    Pairs of different clients that are not identical are counted. With d0 the 0.1 % quantile of their distances, m the
    largest share of other clients' rows, each client counting the same, within d0 of any row, and the number of
    neighbours growing with distance to the power of k (Hill 1975; the least of all pairs, of pairs of the 5 % of rows
    with the most neighbours, and of either without any one client),

        radius = d0 (rate / m)^(1 / k),

    but at most half the least distance seen; and if leaving out one client would make that grow by more than twice,
    at most by so much less: what one client alone does in clean traffic, another will do worse. Radii of pairs whose
    answers differ are at most a quarter of the d0 of all pairs, so that cells, four radii wide, hold few clean rows.
    """
    pairs = _pairs(z, digests, client, None)
    every = _radii(*pairs, client)
    differing = _pairs(z, digests, client, labels)
    if len(differing[0]) < _FEWEST:
        return every, every
    widest = float(pairs[0][len(pairs[0]) // 2]) / _CELLS
    return every, np.maximum(np.minimum(_radii(*differing, client), widest), every)


def _radii(pairs: FloatArray, one: IntArray, other: IntArray, client: IntArray) -> FloatArray:
    if len(pairs) < _FEWEST:
        return np.full(len(RATES), float(pairs[0]) / _MARGIN if len(pairs) else _NONE)
    tail = max(len(pairs) // 2, _FEWEST)
    d0 = float(pairs[tail - 1])
    near, one, other = pairs[:tail], one[:tail], other[:tail]
    rows = int(max(one.max(), other.max())) + 1
    sizes = np.bincount(client).astype(np.float64)
    share = np.bincount(one, 1.0 / sizes[client[other]], rows) + np.bincount(other, 1.0 / sizes[client[one]], rows)
    busiest = min(float(share.max()) / max(len(sizes) - 1, 1), 1.0)
    weight = np.bincount(np.concatenate([one, other]), minlength=len(client)).astype(np.float64)
    busy = weight >= np.quantile(weight, 1.0 - _BUSY)
    dimensions, least = [], []
    for left_out in [-1, *range(len(sizes))]:
        kept = (client[one] != left_out) & (client[other] != left_out)
        for some in (kept, kept & (busy[one] | busy[other])):
            if np.count_nonzero(some) >= _FEWEST:
                dimensions.append(1.0 / max(float(np.mean(np.log(d0 / near[some]))), 1.0 / _MOST_DIMENSION))
        least.append(float(near[kept][0]) if kept.any() else d0)
    dimension = max(min(dimensions, default=_LEAST_DIMENSION), _LEAST_DIMENSION)
    closest = least[0] / max(_MARGIN, max(least) / least[0])
    radii = [min(d0 * min(rate / busiest, 1.0) ** (1.0 / dimension), closest) for rate in RATES]
    return np.array([float(f"{radius:.9g}") for radius in radii])


def _pairs(
    z: FloatArray, digests: IntArray, client: IntArray, labels: IntArray | None
) -> tuple[FloatArray, IntArray, IntArray]:
    """The nearest 0.2 % of pairs of different clients (with ``labels``: whose answers differ), ascending: distance and
    both rows."""
    n, found, pairs = len(z), [], 0
    for i in range(n - 1):
        d2 = np.sum((z[i + 1 :] - z[i]) ** 2, axis=1)
        apart = (client[i + 1 :] != client[i]) & (digests[i + 1 :] != digests[i]) & (d2 > 0)
        if labels is not None:
            apart &= labels[i + 1 :] != labels[i]
        ok = np.flatnonzero(apart)
        pairs += len(ok)
        if len(ok) > _MOST_OF_ROW:
            ok = ok[np.argpartition(d2[ok], _MOST_OF_ROW)[:_MOST_OF_ROW]]
        found.append((d2[ok], np.full(len(ok), i), ok + i + 1))
    if not found:
        return np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64)
    d2, one, other = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.argsort(d2, kind="stable")[: max(int(2 * pairs * _TAIL), 2 * _FEWEST)]
    return np.sqrt(d2[order]), one[order].astype(np.int64), other[order].astype(np.int64)
