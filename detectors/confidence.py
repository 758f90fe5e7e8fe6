"""Low confidence: answers without a clear winner, one after the other."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np

from detectors.batch import EventBatch, FloatArray, IntArray, round_sig
from detectors.contract import DetectorInfo, Params
from detectors.exact import figure
from detectors.finding import Attack
from detectors.regions import Regions
from detectors.rows import Rows
from detectors.subspace import Subspace

#: Narrowest margin told apart: 2**-10, so s is at most 10.
NARROWEST: Final = 2.0**-10


class Confidence(Regions):
    """Many adversarial examples, and all queries of a search along the boundary, are answered without conviction
    (Hendrycks & Gimpel 2017, arXiv 1610.02136; boundary closeness: Kesarwani et al. 2018, arXiv 1711.07221):

        s = -log2 max(p_1 - p_2, 2^-10)

    with p_1 and p_2 the two largest class probabilities. No opinion on rows without at least two scores, nor in places
    where the client was lately (``detectors.regions``): frames of one doubtful scene are one doubt.

    A hard input is doubtful too, and so is everybody's after a shift: on its own this says little, so it is off unless
    it is taken out of ``detection.disabled``.
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "confidence",
        "1",
        Attack.EVASION,
        "AML.T0043",
        "answers without a clear winner, one after the other",
        lasting_cause=True,
    )
    #: Smallest difference in score that means anything: a margin a tenth narrower.
    resolution: ClassVar[float] = 0.15

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        return cls.with_planes(Subspace.fit(clean), clean)

    def score(self, rows: Rows) -> FloatArray:
        new = self.entering(rows)
        out = np.full(len(rows), np.nan)
        out[new] = round_sig(-np.log2(np.maximum(_margin(rows.batch, new), NARROWEST)))
        return out

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        margin = _margin(rows.batch, np.array([row]))[0]
        return {} if np.isnan(margin) else {"margin": figure(margin)}


def _margin(batch: EventBatch, rows: IntArray) -> FloatArray:
    """Largest less second largest class score, ``(k,)``; NaN where a row has fewer than two."""
    if batch.scores is None or batch.scores.shape[1] < 2:
        return np.full(len(rows), np.nan)
    top = np.sort(batch.scores[rows].astype(np.float64), axis=1)[:, -2:]
    return np.asarray(top[:, 1] - top[:, 0])
