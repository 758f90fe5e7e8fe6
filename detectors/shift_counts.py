"""What a window of one model's traffic is reduced to: counts on the reference's grid of edges, labels and buckets."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.batch import NO_LABEL, EventBatch, FloatArray, IntArray
from detectors.clusters import client_counts, intra_class
from detectors.contract import Params, Summary
from detectors.digest import secret_of
from detectors.histogram import count_above, fit_edges

#: Labels with a bin of their own; rarer ones share the last bin.
MAX_LABELS: Final = 1000
#: For the intra-class correlation: rows of a run, runs looked at, edges used.
_RUN: Final = 16
_RUNS: Final = 512
_RUN_EDGES: Final = 8


def fit_grid(clean: EventBatch) -> Params:
    """Where to count: ``edges (e, d)``, ``confidence_edges (e, 1)``, ``label_values (l,)``, ``salt (16,)``."""
    seen, times = np.unique(clean.labels[clean.labels != NO_LABEL], return_counts=True)
    frequent = np.argsort(-times, kind="stable")[:MAX_LABELS]
    return {
        "edges": fit_edges(clean.x),
        "confidence_edges": fit_edges(confidence(clean)),
        "label_values": np.sort(seen[frequent]),
        "salt": np.frombuffer(secret_of(clean), dtype=np.uint8),
    }


def count(grid: Params, batch: EventBatch) -> Summary:
    """Counts that add: ``above (e, d)``, ``missing (d,)``, ``labels (l + 1,)`` with any other label last,
    ``confidence (e + 1,)`` with the rows that carry scores last, ``clients (256,)``.

    Rows whose width is not the reference's cannot be compared and are left out.
    """
    if batch.x.shape[1] != grid["edges"].shape[1]:
        batch = batch.take(np.empty(0, dtype=np.int64))
        x = np.empty((0, grid["edges"].shape[1]), dtype=np.float32)
    else:
        x = batch.x
    sure = confidence(batch)
    return Summary(
        count=len(batch),
        counts={
            "above": count_above(x, grid["edges"]),
            "missing": len(x) - _present(x),
            "labels": _label_counts(grid, batch.labels),
            "confidence": np.append(count_above(sure, grid["confidence_edges"])[:, 0], _present(sure)),
            "clients": client_counts(batch.clients, grid["salt"].tobytes()),
        },
    )


def confidence(batch: EventBatch) -> npt.NDArray[np.float32]:
    """Largest class probability per row, ``(n, 1)``; NaN where there are no scores."""
    if batch.scores is None or not batch.scores.shape[1]:
        return np.full((len(batch), 1), np.nan, dtype=np.float32)
    return np.asarray(batch.scores.max(axis=1, keepdims=True), dtype=np.float32)


def fit_clustering(grid: Params, clean: EventBatch) -> Params:
    """Intra-class correlations ``rho (d,)``, ``rho_labels ()``, ``rho_confidence ()`` of a client's rows.

    The clusters are runs of up to 16 successive rows of a client, so that likeness within a session counts as well as
    likeness of a client with itself. A feature takes at least ``rho_pooled ()``, the mean over the features that vary:
    single estimates are noisy.
    """
    runs = [rows[i : i + _RUN] for rows in clean.by_client().values() for i in range(0, len(rows), _RUN)]
    runs = [runs[i] for i in np.unique(np.linspace(0, len(runs) - 1, _RUNS).astype(np.int64)).tolist()]
    edges = grid["edges"][:: max(len(grid["edges"]) // _RUN_EDGES, 1)]
    sure = confidence(clean)
    features = _rho([count_above(clean.x[r], edges) for r in runs], [_present(clean.x[r]) for r in runs])
    varies = np.count_nonzero(np.isfinite(grid["edges"]), axis=0) > 2
    pooled = np.asarray(features[varies].mean() if varies.any() else 0.0)
    labels = [_label_counts(grid, clean.labels[r])[:, None] for r in runs]
    return {
        "rho": np.maximum(features, pooled),
        "rho_pooled": pooled,
        "rho_labels": _rho(labels, [counts.sum(axis=0) for counts in labels])[0],
        "rho_confidence": _rho(
            [count_above(sure[r], grid["confidence_edges"]) for r in runs], [_present(sure[r]) for r in runs]
        )[0],
    }


def _rho(above: list[IntArray], rows: list[IntArray]) -> FloatArray:
    return intra_class(np.array(above, dtype=np.float64), np.array(rows, dtype=np.float64))


def _present(x: npt.NDArray[np.float32]) -> IntArray:
    """Values of each column that are not missing."""
    out = np.full(x.shape[1], len(x), dtype=np.int64)
    # A missing value makes its column's sum NaN. So may sums beyond float32; those columns are counted for nothing.
    with np.errstate(over="ignore", invalid="ignore"):
        doubtful = np.isnan(np.add.reduce(x, axis=0))
    out[doubtful] = np.count_nonzero(~np.isnan(x[:, doubtful]), axis=0)
    return out


def _label_counts(grid: Params, labels: IntArray) -> IntArray:
    """Rows per known label, any other label last; rows without a label are not counted."""
    values = grid["label_values"]
    labels = labels[labels != NO_LABEL]
    if not len(values):
        return np.array([len(labels)], dtype=np.int64)
    at = np.minimum(np.searchsorted(values, labels), len(values) - 1)
    bins = np.where(values[at] == labels, at, len(values))
    return np.asarray(np.bincount(bins, minlength=len(values) + 1), dtype=np.int64)
