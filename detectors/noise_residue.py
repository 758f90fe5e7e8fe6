"""Adversarial noise: energy in directions that clean inputs hardly use."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from detectors.batch import EventBatch, FloatArray, round_sig
from detectors.contract import DetectorInfo, Params
from detectors.exact import figure
from detectors.finding import Attack
from detectors.regions import Regions
from detectors.residue import Residue


class NoiseResidue(Regions):
    """Gradient attacks push along every direction alike, clean inputs vary along a few, so an adversarial example has
    large coefficients on low-ranked principal components (Hendrycks & Gimpel 2017, arXiv 1608.00530). The score is the
    residue of ``detectors.residue``.

    An input of another kind also leaves the clean directions; there is no opinion where the residue is not noise. Only
    rows in a place new to their client have one (``detectors.regions``).
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "noise_residue", "1", Attack.EVASION, "AML.T0043.000", "noise in directions that clean inputs hardly use"
    )
    #: Smallest difference in score that means anything (usual scores are about 1).
    resolution: ClassVar[float] = 0.2

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self._residue = Residue(params)

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        return cls.with_planes(Residue.fit(clean), clean)

    def score(self, batch: EventBatch) -> FloatArray:
        out = np.full(len(batch), np.nan)
        rows = self.entering(batch, self.locate(batch)[1])
        measured = self._residue(batch.take(rows))
        out[rows] = np.where(measured.noise, measured.residue, np.nan)
        return round_sig(out)

    def explain(self, batch: EventBatch, row: int) -> dict[str, Any]:
        measured = self._residue(batch.take(np.array([row])))
        figures = {"residue": figure(measured.residue[0])}
        if self._residue.usual_roughness > 0:
            figures["roughness"] = figure(measured.roughness[0])
            figures["usual_roughness"] = figure(self._residue.usual_roughness)
        return figures
