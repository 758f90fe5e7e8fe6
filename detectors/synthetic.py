"""Model extraction: inputs that were made, one by one within the range of clean ones, and together unlike them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from detectors.batch import EventBatch, FloatArray
from detectors.contract import DetectorInfo, Params
from detectors.exact import figure
from detectors.finding import Attack
from detectors.made import Made
from detectors.rows import Rows


class Synthetic(Made):
    """A thief with few examples makes more: mixes them, draws from a model of them, moves them along the copy's
    gradient, or draws each feature by itself. Such rows lie within the clean range, where distances (``coverage``) are
    usual. But whoever has clean traffic can make them too, and learn to tell (outlier exposure: Hendrycks, Mazeika,
    Dietterich 2019, arXiv 1812.04606):

        s = log odds of boosted trees (``detectors.trees``) that the row is one of ``detectors.counterfeits``

    of its leading coefficients in standard deviations, their mean square, its residue (``detectors.residue``), and, up
    to 64 features, its standardised features; beyond, how its values are spread over the clean range: a mixture of two
    pictures has greys that no picture has. The trees see clean rows as one class and made ones as the other; clients
    that they have not seen set the lines. Only rows in a place new to their client have an opinion
    (``detectors.regions``).

    An adversarial example is made, too, by the very step that augments a thief's examples. There is no opinion on
    pictures under noise stronger than 998 in 1000 clean ones have: what they are is for ``noise_residue`` to say.
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "synthetic", "2", Attack.EXTRACTION, "AML.T0024.002", "inputs that were made rather than measured"
    )
    #: Smallest difference in score that means anything: odds a quarter higher.
    resolution: ClassVar[float] = 0.25

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        return cls.fit_made(clean)

    def score(self, rows: Rows) -> FloatArray:
        quiet = self.quiet(rows, self.entering(rows))
        out = np.full(len(rows), np.nan)
        out[quiet] = self.odds(rows, quiet)
        return out

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        return {"log_odds": figure(float(self.odds(rows, np.array([row]))[0]))}
