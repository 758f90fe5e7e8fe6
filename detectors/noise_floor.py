"""Queries nearer to one another than two measurements ever are."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from detectors.batch import EventBatch, FloatArray, IntArray, round_sig
from detectors.contract import DetectorInfo, Params
from detectors.exact import figure
from detectors.finding import Attack
from detectors.kernels.likeness import least_detail
from detectors.queries import DETAIL_STEPS, RING, Queries
from detectors.rows import Rows


class NoiseFloor(Queries):
    """What a camera or an instrument measures has noise in every detail, each time another one: two of its inputs are
    the same to the byte (one sent again) or differ by at least the noise. Searches for an adversarial example compute
    their next query from the last one and do not: steps along the boundary (Boundary attack, Brendel, Rauber, Bethge
    2018, arXiv 1712.04248), bisections, estimates of a gradient (HopSkipJump, arXiv 1904.02144; GeoDA, arXiv
    2003.06468; Sign-OPT, arXiv 1909.10773), one smooth direction at a time (SimBA, arXiv 1905.07121). So

        s = max(0, log2(f / min_j d_j))

    with d_j the distance in detail to the j-th of the client's last 44 distinct queries and f the ``detail_floor``,
    which different queries of clean clients hardly ever come below (both in ``detectors.queries``). For pictures detail
    is what two Laplacians leave: there noise weighs most, and what moves in a scene least. Answers play no part.

    Byte-identical repeats and a client's first query have no opinion.
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "noise_floor",
        "1",
        Attack.EVASION,
        "AML.T0043.001",
        "queries nearer to one another than two measurements are",
        lasting_cause=True,
    )

    #: Smallest difference in score that means anything: the next camera may have half the noise of the quietest one
    #: in clean traffic, and the least of 44 distances, each estimated to about a fifth, may come out lower still.
    resolution: ClassVar[float] = 1.0

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        return cls.fit_queries(clean)

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self._floor = float(params["detail_floor"])

    def score(self, rows: Rows) -> FloatArray:
        floors = self._floors(rows)
        with np.errstate(divide="ignore"):
            bits = -np.log2(np.maximum(floors, 1.0 / DETAIL_STEPS))
        return round_sig(np.where(np.isnan(floors), np.nan, np.maximum(bits, 0.0)))

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        mine = rows.up_to(row)
        floors = self._floors(mine)[-1]
        if np.isnan(floors):
            return {}
        return {
            "detail_distance": figure(floors * self._floor),
            "least_among_clean": figure(self._floor),
            "queries_compared": self.known(rows, row),
        }

    def _floors(self, rows: Rows) -> FloatArray:
        """Least distance in detail of each row, in floors; NaN where there is none."""
        queries, pool = self.remembered(rows), self.memory.pool
        squared: IntArray = np.empty(len(rows), dtype=np.int64)
        least_detail(
            rows.order,
            rows.begins,
            rows.slots,
            self.new(rows),
            pool["detail"],
            queries["detail"],
            self.memory.owned,
            RING,
            squared,
        )
        return np.where(squared < 0, np.nan, np.sqrt(np.maximum(squared, 0)) / DETAIL_STEPS)
