"""Iterative black-box attacks: queries close to the client's earlier ones that teach something new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from detectors.batch import BoolArray, EventBatch, FloatArray, IntArray, round_sig
from detectors.contract import DetectorInfo, Params
from detectors.exact import figure
from detectors.finding import Attack
from detectors.kernels.neighbours import compare
from detectors.queries import RING, Queries
from detectors.rows import Rows
from detectors.run_ranks import runs

#: Neighbours this much farther than the nearest one still count as near: a bisection has one on either side.
SLACK: Final = 1.1
#: Closest distance told apart, in shares of the radius: 2**-12, so s is at most 12.
CLOSEST: Final = 2.0**-12
_RADIUS_QUANTILE: Final = 0.005


@dataclass(frozen=True, slots=True, eq=False)
class _Compared:
    """Distance of each row to its nearest neighbour, ``(n,)``: NaN for repeats, infinite without a neighbour. And all
    near pairs of a row and an earlier query, a row's together: the row, how many distinct queries earlier, whether the
    labels differ, the distance, and the value ``log2(r / d) * info``.
    """

    nearest: FloatArray
    row: IntArray
    back: IntArray
    differs: BoolArray
    distance: FloatArray
    value: FloatArray


class NearDuplicate(Queries):
    """An attacker who searches for an adversarial example asks again and again about almost the same input and learns
    from how the answer changes (Chen, Carlini, Wagner 2019, arXiv 1907.05587; Blacklight, Li et al. 2022, arXiv
    2006.14042). Closeness alone would accuse the retry, the health check and the camera over a still scene, so a row
    counts as much as it is close and its answer differs:

        s = max over near j of  log2(r / d_j) * info_j,    near: d_j < r and d_j <= 1.1 min d

    with d_j the root mean square difference per feature, in standard units, to the j-th of the client's last 44
    distinct queries, estimated from 8 sums with random signs (Achlioptas 2003); r the 0.5 % quantile of that distance
    between queries of different clients in clean traffic; info_j = 1 if the served labels differ, else the change of
    the largest class probability.

    Byte-identical repeats have no opinion and are not remembered; nor has a client's first query. The signs come from a
    seed that only the clean traffic gives: whoever lacks it cannot hide a difference from them.
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "near_duplicate",
        "2",
        Attack.EVASION,
        "AML.T0043.001",
        "queries that circle round one input and learn from it",
        lasting_cause=True,
    )

    #: Smallest difference in score that means anything (one bit: half as far).
    resolution: ClassVar[float] = 1.0

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self._radius = float(params["radius"])

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        params = cls.fit_queries(clean)
        return params | {"radius": np.array(Queries(params).spacing(clean, _RADIUS_QUANTILE))}

    def score(self, rows: Rows) -> FloatArray:
        compared = self._compare(rows)
        out = np.where(np.isfinite(compared.nearest), 0.0, np.nan)
        if len(compared.row):
            first, _ = runs(compared.row)
            out[compared.row[first]] = round_sig(np.maximum.reduceat(compared.value, first))
        return out

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        mine = rows.up_to(row)
        compared = self._compare(mine)
        pairs = np.flatnonzero(compared.row == len(mine) - 1)
        if not len(pairs):
            return {}
        oldest_first = pairs[np.argsort(-compared.back[pairs], kind="stable")]
        best = oldest_first[compared.value[oldest_first].argmax()]
        return {
            "distance": figure(compared.distance[best]),
            "radius": figure(self._radius),
            "label_differs": bool(compared.differs[best]),
            "queries_compared": self.known(rows, row),
        }

    def _compare(self, rows: Rows) -> _Compared:
        """All fresh rows against the 44 distinct queries before each."""
        queries, pool = self.remembered(rows), self.memory.pool
        nearest = np.empty(len(rows))
        pairs, figures = np.empty((len(rows) * RING, 3), dtype=np.int64), np.empty((len(rows) * RING, 2))
        n = compare(
            rows.order,
            rows.begins,
            rows.slots,
            self.new(rows),
            pool["label"],
            pool["top"],
            pool["z"],
            queries["label"],
            queries["top"],
            queries["z"],
            self.memory.owned,
            RING,
            self._radius,
            SLACK,
            nearest,
            pairs,
            figures,
        )
        row, back, differs = pairs[:n].T
        distance, change = figures[:n].T
        info = np.where(differs, 1.0, np.minimum(change, 1.0))
        closeness = -np.log2(np.minimum(np.maximum(distance / self._radius, CLOSEST), 1.0))
        return _Compared(nearest, row, back, differs.astype(np.bool_), distance, closeness * info)
