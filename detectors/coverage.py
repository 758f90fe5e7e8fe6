"""Model extraction: queries that range over inputs the model's own traffic never shows."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np

from detectors.batch import EventBatch, FloatArray, IntArray, round_sig
from detectors.contract import DetectorInfo, Params
from detectors.exact import figure, row_blocks
from detectors.finding import Attack
from detectors.kernels.measures import third_least
from detectors.regions import RING, Regions
from detectors.residue import Residue
from detectors.rows import Rows
from detectors.sampling import fair_rows

REFERENCES: Final = 256


class Coverage(Regions):
    """Thieves label what they have: pictures of another domain, random or synthetic inputs (KnockoffNets, Orekondy,
    Schiele, Fritz 2019, arXiv 1812.02766). As in D-ADD (AAAI 2025) and FDINet (arXiv 2306.11338) a query counts by its
    distance from clean traffic:

        s = sqrt(d_3^2 / q + max(residue^2 - 1, 0) * [the residue is not noise])

    with d_3 the distance to the third nearest of up to 256 clean rows along the q leading principal directions, each
    in units of its standard deviation. The residue (``detectors.residue``) is what those directions leave out; a clean
    input with noise is no input of another kind, and is looked at by ``noise_residue``.
    Only rows in a place new to their client have an opinion (``detectors.regions``).
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "coverage", "1", Attack.EXTRACTION, "AML.T0024.002", "queries that range far outside the model's clean traffic"
    )
    #: Smallest difference in score that means anything (usual scores are about 0.7).
    resolution: ClassVar[float] = 0.1

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self._residue = Residue(params)
        self._references = params["references"].astype(np.float64)
        self._squares = np.sum(self._references**2, axis=1)
        self._usual = np.sqrt(np.median(self._squared_distance(self._references)))

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        params = cls.with_planes(Residue.fit(clean), clean)
        located = Regions(params).locate(clean.x[fair_rows(clean, REFERENCES)])
        return params | {"references": located["white"].astype(np.float32)}

    def score(self, rows: Rows) -> FloatArray:
        new = self.entering(rows)
        out = np.full(len(rows), np.nan)
        squared = self._squared_distance(self.located(rows)["white"][new])
        out[new] = round_sig(np.sqrt(squared + self._foreign(rows, new)))
        return out

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        mine = rows.up_to(row)
        last = len(mine) - 1
        known = int(self.memory.counts(rows.slots[row : row + 1])[0])
        return {
            "distance": figure(np.sqrt(self._squared_distance(self.located(mine)["white"][last:])[0])),
            "usual_distance": figure(self._usual),
            "foreign_residue": figure(np.sqrt(self._foreign(mine, np.array([last]))[0])),
            "places_entered": min(known + len(self.entering(mine)), RING),
        }

    def _foreign(self, rows: Rows, wanted: IntArray) -> FloatArray:
        measured = self._residue.of(rows, wanted)
        return np.where(measured["noise"], 0.0, np.maximum(measured["residue"] ** 2 - 1.0, 0.0))

    def _squared_distance(self, white: FloatArray) -> FloatArray:
        nearest = np.empty(len(white))
        for block in row_blocks(len(white), len(self._references)):
            products = white[block] @ self._references.T
            third_least(products, np.sum(white[block] ** 2, axis=1), self._squares, nearest[block])
        return np.asarray(np.maximum(nearest, 0.0) / white.shape[1])
