"""Reference quantile edges per feature, and how many rows lie above each: counts that add, from which CDFs are read."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.batch import IntArray
from detectors.kernels.histogram import above

Float32Array = npt.NDArray[np.float32]

#: Edges per feature. A KS distance read off 32 quantiles is at most 1/31 short of the exact one.
EDGES: Final = 32
#: Rows that edges are read off, evenly spaced; more do not move 32 quantiles.
_FIT_ROWS: Final = 5000


def fit_edges(x: Float32Array, edges: int = EDGES) -> Float32Array:
    """Edges ``(edges, d)`` for rows ``x (n, d)``, ascending down each column and padded with +inf.

    A feature with fewer than ``edges`` distinct values gets all of them, so its CDF is exact. Any other gets its
    quantiles (values that occur), and below each value so common that it fills more than one quantile the next
    smaller float, so that mass leaving a common value on either side shows. The first edge is just below the minimum
    and the last finite one is the maximum: values outside the reference's range move the CDF too.
    Missing values (NaN) are left out; a feature with none but missing values has no finite edge.
    """
    rows = np.unique(np.linspace(0, len(x) - 1, min(len(x), _FIT_ROWS)).astype(np.int64))
    columns = np.sort(np.ascontiguousarray(x[rows].T), axis=1)  # NaN goes last
    present = np.count_nonzero(~np.isnan(columns), axis=1)
    out = np.full((edges, x.shape[1]), np.inf, dtype=np.float32)
    for j, n in enumerate(present.tolist()):
        if n:
            chosen = _column_edges(columns[j, :n], edges)
            out[: len(chosen), j] = chosen
    return out


def _column_edges(ordered: Float32Array, edges: int) -> Float32Array:
    below = _below(ordered[:1])
    distinct = ordered[np.concatenate([[True], np.diff(ordered) > 0])]
    if len(distinct) < edges:
        return np.concatenate([below, distinct])
    positions = np.ceil(np.linspace(0.0, 1.0, edges)[1:] * (len(ordered) - 1)).astype(np.int64)
    quantiles, times = np.unique(ordered[positions], return_counts=True)
    common = _below(quantiles[times > 1])
    return np.asarray(np.unique(np.concatenate([below, quantiles, common])), dtype=np.float32)


def _below(values: Float32Array) -> Float32Array:
    """The next smaller float, but no subnormal one: some processors are set to take those for zero."""
    smaller = np.nextafter(values, np.float32(-np.inf))
    tiny = np.finfo(np.float32).tiny
    return np.where(np.abs(smaller) < tiny, -tiny, smaller)


def count_above(x: Float32Array, edges: Float32Array) -> IntArray:
    """Rows of ``x (n, d)`` above each of ``edges (e, d)``, ascending: int64 ``(e, d)``. NaN is above nothing."""
    out = np.empty(edges.shape, dtype=np.int64)
    above(np.ascontiguousarray(x), np.ascontiguousarray(edges), out)
    return out
