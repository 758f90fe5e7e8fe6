"""One picture again and again: shifted, turned, covered with noise."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np

from detectors.batch import EventBatch, FloatArray, IntArray, round_sig
from detectors.contract import DetectorInfo, Params
from detectors.exact import figure
from detectors.finding import Attack
from detectors.kernels.likeness import second_ratio
from detectors.queries import DETAIL_STEPS, DIMS, OUTLINE_STEPS, RING, Queries
from detectors.rows import Rows
from detectors.spacing import between_clients, sample

_QUANTILE: Final = 0.005
#: A query nearer in detail to another one than so many times what two clients' pictures are is taken for a frame.
_APART: Final = 1.5


class Variants(Queries):
    """Whether a model knew a picture in training shows in how its answer bears small changes: label-only membership
    inference asks about one candidate shifted, turned, or covered with noise (Choquette-Choo, Tramer, Carlini, Papernot
    2021, arXiv 2007.14321; Li, Zhang 2021, arXiv 2007.15528). Such variants are far apart pixel by pixel, but have
    one outline. Frames of a camera agree in both, pictures of two things differ in both. So

        s = max(0, second largest over j of  log2( (d_j / d) / (o_j / o) ))    if all d_j >= 1.5 d;  else 0

    with d_j and o_j the distances in detail and in outline (``detectors.queries``) to the j-th of the client's last 44
    distinct queries; d and o the 0.5 % quantiles of these distances between different clients in clean traffic. Who is
    near an earlier query in detail is a frame of its scene, and no variant.

    Byte-identical repeats, a client's first query, and inputs that are no pictures have no opinion.
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "variants", "2", Attack.INFERENCE, "AML.T0024.000", "one picture shifted, turned or noisy, again and again"
    )

    #: Smallest difference in score that means anything: distances are estimated to about a fifth each.
    resolution: ClassVar[float] = 0.5

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self._pictures = len(params["outline_scale"]) > 0
        self._detail_step = float(params["detail_floor"]) / DETAIL_STEPS
        self._detail, self._outline = float(params["detail_apart"]), float(params["outline_apart"])

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        params = cls.fit_queries(clean)
        queries = Queries(params)
        rows, clients = sample(clean)
        detail = queries.projected(clean.x[rows])[:, DIMS:]
        outline = queries.outlines(clean.x[rows]) / (params["outline_scale"] if len(params["outline_scale"]) else 1.0)
        return params | {
            "detail_apart": np.array(between_clients(detail, clients, _QUANTILE)),
            "outline_apart": np.array(between_clients(outline, clients, _QUANTILE)),
        }

    def score(self, rows: Rows) -> FloatArray:
        ratios, _ = self._ratios(rows)
        units = (self._detail_step / self._detail) * (OUTLINE_STEPS * self._outline)
        with np.errstate(divide="ignore"):
            bits = np.log2(np.sqrt(ratios) * units)
        return round_sig(np.where(np.isnan(ratios), np.nan, np.maximum(bits, 0.0)))

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        mine = rows.up_to(row)
        ratios, squared = self._ratios(mine)
        if np.isnan(ratios[-1]):
            return {}
        detail, outline = np.sqrt(squared[-1]).tolist()
        return {
            "detail_distance": figure(detail * self._detail_step),
            "detail_between_clients": figure(self._detail),
            "outline_distance": figure(outline / OUTLINE_STEPS),
            "outline_between_clients": figure(self._outline),
            "queries_compared": self.known(rows, row),
        }

    def _ratios(self, rows: Rows) -> tuple[FloatArray, IntArray]:
        """Second largest ratio of squared distances of each row, NaN where there is no opinion, and the distances."""
        ratios, squared = np.full(len(rows), np.nan), np.zeros((len(rows), 2), dtype=np.int64)
        if self._pictures:
            queries, pool = self.remembered(rows), self.memory.pool
            second_ratio(
                rows.order,
                rows.begins,
                rows.slots,
                self.new(rows),
                pool["detail"],
                pool["outline"],
                queries["detail"],
                queries["outline"],
                self.memory.owned,
                RING,
                (_APART * self._detail / self._detail_step) ** 2,
                ratios,
                squared,
            )
        return ratios, squared
