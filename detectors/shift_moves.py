"""How far a window's counts lie from the reference's, feature by feature, in units of their sampling error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.batch import FloatArray, IntArray
from detectors.clusters import concentration, inverse_rows
from detectors.contract import Params, Summary


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """Differences of shares, window minus reference, and the factors that scale them.

    Attributes:
        shares: difference of the share above each edge, ``(e, d)``; 0 where window or reference has no value.
        missing: difference of the share missing, ``(d,)``.
        labels: difference of each label's share, other labels last, ``(l + 1,)``.
        confidence: difference of the share above each confidence edge, ``(e,)``.
        features: scaled distance of each feature, ``(d,)``.
        parts: largest feature, root mean square over features, labels, confidence; each scaled.
    """

    shares: FloatArray
    missing: FloatArray
    labels: FloatArray
    confidence: FloatArray
    features: FloatArray
    parts: FloatArray

    @property
    def label_distance(self) -> float:
        """Total variation distance of the label shares, within [0, 1]."""
        return float(np.abs(self.labels).sum() / 2.0)


def compare(clustering: Params, reference: Summary, window: Summary) -> Moves:
    """Distances scaled by s = 1 / sqrt(1/n_eff + 1/n_eff_reference); n_eff as in ``detectors.clusters``."""
    rho = clustering["rho"]
    a, b = window.counts, reference.counts
    kappas = concentration(a["clients"]), concentration(b["clients"])

    def scale(rho: FloatArray, rows: IntArray, reference_rows: IntArray) -> FloatArray:
        error = inverse_rows(rho, rows, kappas[0], window.spread) + inverse_rows(rho, reference_rows, kappas[1])
        return np.asarray(1.0 / np.sqrt(error), dtype=np.float64)

    have, had = window.count - a["missing"], reference.count - b["missing"]
    shares = _difference(a["above"], have, b["above"], had)
    missing = _difference(a["missing"], np.asarray(window.count), b["missing"], np.asarray(reference.count))
    features = np.maximum(
        scale(rho, have, had) * np.abs(shares).max(axis=0),
        scale(rho, np.full_like(have, window.count), np.full_like(had, reference.count)) * np.abs(missing),
    )
    labelled = a["labels"].sum(), b["labels"].sum()
    labels = _difference(a["labels"], labelled[0], b["labels"], labelled[1])
    scored = a["confidence"][-1], b["confidence"][-1]
    confidence = _difference(a["confidence"][:-1], scored[0], b["confidence"][:-1], scored[1])
    parts = [
        features.max(),
        np.sqrt(np.mean(features**2)),
        np.abs(labels).sum() / 2.0 * scale(clustering["rho_labels"], *labelled),
        np.abs(confidence).max() * scale(clustering["rho_confidence"], *scored),
    ]
    return Moves(shares, missing, labels, confidence, features, np.array(parts, dtype=np.float64))


def _difference(a: IntArray, rows: IntArray, b: IntArray, reference_rows: IntArray) -> FloatArray:
    """Difference of shares; 0 where either side has no rows to tell."""
    known = (rows > 0) & (reference_rows > 0)
    share = a / np.maximum(rows, 1) - b / np.maximum(reference_rows, 1)
    return np.asarray(np.where(known, share, 0.0), dtype=np.float64)
