"""How far apart queries of clean traffic lie: those of different clients, and those of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from detectors.batch import EventBatch, FloatArray, IntArray
from detectors.rows import Inputs
from detectors.sampling import fair_rows

_SAMPLE: Final = 1500
_PER_CLIENT: Final = 128
_QUANTILE: Final = 0.005
_APART_SHARE: Final = 0.25


def sample(clean: EventBatch) -> tuple[IntArray, IntArray]:
    """Rows for ``between_clients``, and the number of each one's client."""
    rows = fair_rows(clean, _SAMPLE)
    return rows, np.unique(np.array(clean.clients)[rows], return_inverse=True)[1]


def between_clients(projected: FloatArray, clients: IntArray, quantile: float) -> float:
    """Quantile of the distances above 0 between rows ``(n, m)`` of different clients; 1 if there are none."""
    one, other = np.triu_indices(len(projected), 1)
    apart = clients[one] != clients[other]
    distances = np.sqrt(np.sum((projected[one[apart]] - projected[other[apart]]) ** 2, axis=1))
    distances = distances[distances > 0]
    return float(np.quantile(distances, quantile)) if len(distances) else 1.0


def spacing_floor(clean: EventBatch, project: Callable[[Inputs], FloatArray], ring: int) -> float:
    """How close two different queries of one clean client come, by the distance of ``project`` ``(n, d) -> (n, m)``.

    The 0.5 % quantile, over queries, each client counting the same, of the distance to the nearest of the ``ring``
    distinct ones before; but at most a quarter of the 0.5 % quantile between different clients. Each client's first 128
    rows are looked at.
    """
    rows, clients = sample(clean)
    most = _APART_SHARE * between_clients(project(clean.x[rows]), clients, _QUANTILE)
    nearest, weights = [np.empty(0)], [np.empty(0)]
    for mine in clean.by_client().values():
        x = clean.x[mine[:_PER_CLIENT]]
        _, first = np.unique(x, axis=0, return_index=True)
        near = _to_earlier(project(x[np.sort(first)]), ring)
        near = near[near > 0]
        nearest.append(near)
        weights.append(np.full(len(near), 1.0 / max(len(near), 1)))
    values, weight = np.concatenate(nearest), np.concatenate(weights)
    if not len(values):
        return most
    order = np.argsort(values, kind="stable")
    at = int(np.searchsorted(np.cumsum(weight[order]), _QUANTILE * weight.sum()))
    return min(float(values[order][min(at, len(order) - 1)]), most)


def _to_earlier(projected: FloatArray, ring: int) -> FloatArray:
    """Distance of each row but the first to the nearest of the ``ring`` before it."""
    squared = np.sum((projected[:, None, :] - projected[None, :, :]) ** 2, axis=2)
    row = np.arange(len(projected))
    back = row[:, None] - row[None, :]
    return np.asarray(np.sqrt(np.where((back > 0) & (back <= ring), squared, np.inf).min(axis=1)[1:]))
