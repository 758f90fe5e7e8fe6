"""Model extraction: queries that range over inputs the model's own traffic never shows."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np

from detectors.batch import EventBatch, FloatArray, round_sig
from detectors.contract import DetectorInfo, Params
from detectors.exact import figure
from detectors.finding import Attack
from detectors.regions import RING, Regions
from detectors.residue import Residue
from detectors.sampling import fair_rows

NEIGHBOUR: Final = 3
REFERENCES: Final = 512


class Coverage(Regions):
    """Thieves label what they have: pictures of another domain, random or synthetic inputs (KnockoffNets, Orekondy,
    Schiele, Fritz 2019, arXiv 1812.02766). As in D-ADD (AAAI 2025) and FDINet (arXiv 2306.11338) a query counts by its
    distance from clean traffic:

        s = sqrt(d_3^2 / q + max(residue^2 - 1, 0) * [the residue is not noise])

    with d_3 the distance to the third nearest of up to 512 clean rows along the q leading principal directions, each
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

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        params = cls.with_planes(Residue.fit(clean), clean)
        white, _ = Regions(params).locate(clean.take(fair_rows(clean, REFERENCES)))
        return params | {"references": white.astype(np.float32)}

    def score(self, batch: EventBatch) -> FloatArray:
        white, places = self.locate(batch)
        rows = self.entering(batch, places)
        out = np.full(len(batch), np.nan)
        out[rows] = np.sqrt(self._squared_distance(white[rows]) + self._foreign(batch.take(rows)))
        return round_sig(out)

    def explain(self, batch: EventBatch, row: int) -> dict[str, Any]:
        white, places = self.locate(batch)
        client = batch.clients[row]
        mine = np.flatnonzero(np.array(batch.clients[: row + 1]) == client)
        usual = np.sqrt(np.median(self._squared_distance(self._references)))
        return {
            "distance": figure(np.sqrt(self._squared_distance(white[row : row + 1])[0])),
            "usual_distance": figure(usual),
            "foreign_residue": figure(np.sqrt(self._foreign(batch.take(np.array([row])))[0])),
            "places_entered": min(len(self.history(client)) + len(self._new(client, mine, places)), RING),
        }

    def _foreign(self, batch: EventBatch) -> FloatArray:
        measured = self._residue(batch)
        return np.where(measured.noise, 0.0, np.maximum(measured.residue**2 - 1.0, 0.0))

    def _squared_distance(self, white: FloatArray) -> FloatArray:
        squared = np.sum(white**2, axis=1)[:, None] + self._squares - 2.0 * (white @ self._references.T)
        k = min(NEIGHBOUR, len(self._references)) - 1
        nearest = np.partition(squared, k, axis=1)[:, k]
        return np.asarray(np.maximum(nearest, 0.0) / white.shape[1])
