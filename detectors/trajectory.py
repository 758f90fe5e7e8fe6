"""Queries that go back and forth over a decision boundary."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np

from detectors.batch import EventBatch, FloatArray, IntArray, round_sig
from detectors.contract import DetectorInfo, Params
from detectors.exact import figure
from detectors.finding import Attack
from detectors.kernels.neighbours import count_turns
from detectors.queries import RING, Queries
from detectors.rows import Rows

_QUANTILE: Final = 0.005
#: Share of the distance between different clients' queries at which two are steps of one search.
_STEP: Final = 1.0 / 3.0


class Trajectory(Queries):
    """The path of one who looks for a boundary, or estimates its direction from the answers of random steps, crosses it
    again and again (HopSkipJump, arXiv 1904.02144; Sign-OPT, arXiv 1909.10773; label-only membership inference,
    Choquette-Choo et al. 2021, arXiv 2007.14321). A scene that changes into another one crosses it once. So

        s = log2(number of times the served label changes along q_1, ..., q_k, q)    if it changes at q;  else 0

    with q the query, and q_1 to q_k those of the client's last 44 distinct ones, in their order, that are nearer to q
    than r: a third of the 0.5 % quantile of the distance between queries of different clients in clean traffic. Steps
    may be as wide as the noise of a sensor. Only who doubles what clean clients do stands out, for a scene that rests
    near the boundary flickers.

    Byte-identical repeats and a client's first query have no opinion.
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "trajectory",
        "1",
        Attack.EVASION,
        "AML.T0043.001",
        "queries that cross one decision boundary back and forth",
        lasting_cause=True,
    )

    #: Smallest difference in score that means anything: twice as many.
    resolution: ClassVar[float] = 1.0

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self._radius = float(params["radius"])

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        params = cls.fit_queries(clean)
        return params | {"radius": np.array(_STEP * Queries(params).spacing(clean, _QUANTILE))}

    def score(self, rows: Rows) -> FloatArray:
        turns, _ = self._turns(rows)
        return round_sig(np.where(turns < 0, np.nan, np.log2(np.maximum(turns, 1))))

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        mine = rows.up_to(row)
        turns, near = self._turns(mine)
        if turns[-1] < 0:
            return {}
        return {
            "label_changes": int(turns[-1]),
            "near_queries": int(near[-1]),
            "radius": figure(self._radius),
            "queries_compared": self.known(rows, row),
        }

    def _turns(self, rows: Rows) -> tuple[IntArray, IntArray]:
        """Changes of the label along the near queries of each row, -1 for no opinion, and how many are near."""
        queries, pool = self.remembered(rows), self.memory.pool
        turns, near = np.empty(len(rows), dtype=np.int64), np.empty(len(rows), dtype=np.int64)
        count_turns(
            rows.order,
            rows.begins,
            rows.slots,
            self.new(rows),
            pool["label"],
            pool["z"],
            queries["label"],
            queries["z"],
            self.memory.owned,
            RING,
            self._radius,
            turns,
            near,
        )
        return turns, near
