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
from detectors.rows import Rows


class NoiseResidue(Regions):
    """Gradient attacks push along every direction alike, clean inputs vary along a few, so an adversarial example has
    large coefficients on low-ranked principal components (Hendrycks & Gimpel 2017, arXiv 1608.00530). The score is the
    residue of ``detectors.residue``.

    An input of another kind also leaves the clean directions; there is no opinion where the residue is not noise. Only
    rows in a place new to their client have one (``detectors.regions``).
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "noise_residue",
        "1",
        Attack.EVASION,
        "AML.T0043.000",
        "noise in directions that clean inputs hardly use",
        lasting_cause=True,
    )
    #: Smallest difference in score that means anything (usual scores are about 1).
    resolution: ClassVar[float] = 0.2

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self._residue = Residue(params)

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        return cls.with_planes(Residue.fit(clean), clean)

    def score(self, rows: Rows) -> FloatArray:
        new = self.entering(rows)
        measured = self._residue.of(rows, new)
        out = np.full(len(rows), np.nan)
        out[new] = round_sig(np.where(measured["noise"], measured["residue"], np.nan))
        return out

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        measured = self._residue.of(rows, np.array([row]))[0]
        figures = {"residue": figure(measured["residue"])}
        if self._residue.usual_roughness > 0:
            figures["roughness"] = figure(measured["roughness"])
            figures["usual_roughness"] = figure(self._residue.usual_roughness)
        return figures
