"""Queries that are records of the training set, or nearly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from detectors.batch import BoolArray, EventBatch, FloatArray, round_sig
from detectors.contract import DetectorInfo, Params
from detectors.digest import params_digest
from detectors.finding import Attack
from detectors.history import History
from detectors.kernels.records import asked
from detectors.record_bands import BANDS, RecordBands
from detectors.rows import Inputs, Measures, Rows
from detectors.training_sketch import TrainingSketch

#: Distinct queries remembered per client; 20 bytes each.
RING: Final = 44
#: Bands in which a query must agree with an earlier one to be taken for it, noise and all.
_SAME: Final = 2
#: Bands in which a query that counts as a record agrees with one.
_RECORD: Final = 4
#: A client's share of records is taken as if it had sent so many other queries before.
_PRIOR: Final = 8
_ENTRY: Final = np.dtype([("bands", "<u2", (BANDS,)), ("agreeing", "<i4")])
_ASKED: Final = np.dtype([("new", "?"), ("known", "<i8"), ("records", "<i8")])
_SALTED: Final = ("median", "scale", "signs", "members", "offsets", "mix", "width")


class MembershipHits:
    """Who wants to know whether records were among the training data asks about those records (Shokri, Stronati, Song,
    Shmatikov 2017, arXiv 1610.05820; Yeom et al. 2018, arXiv 1709.01604; Carlini et al. 2022, arXiv 2112.03570), as
    they are or under a little noise (Choquette-Choo et al. 2021, arXiv 2007.14321). Other clients bring new inputs. So

        s = A^2 (1 + r / (n + 8))

    with A the number of the 8 bands in which the query agrees with a training record (``detectors.record_bands``),
    which the sketch of the training set tells without holding a row of it, and r those of the client's last n <= 44
    distinct queries that were records (A >= 4). A record as it was has A = 8; noise of a tenth of the distance between
    records leaves about 6, of a half about 1. Where clean clients send records now and then, who sends many stands out
    by r.

    A query that agrees in 2 bands with one of the client's last 44 distinct ones is the same one again, and has no
    opinion: a health check, a camera over one scene, or a form sent again asks about one record once. Answers play no
    part. Only models whose baseline was calibrated with a sketch have this detector.
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "membership_hits",
        "1",
        Attack.INFERENCE,
        "AML.T0024.000",
        "queries that are training records, one by one",
    )

    #: Smallest difference in score that means anything: one band, which chance may give.
    resolution: ClassVar[float] = 1.0

    costly: ClassVar[bool] = False

    def __init__(self, params: Params) -> None:
        self._bands = RecordBands(params)
        self.memory = History(_ENTRY, RING)
        self.memory_key = b"records " + params_digest({name: params[name] for name in _SALTED})

    def score(self, rows: Rows) -> FloatArray:
        before, agreeing = self._asked(rows), self._measured(rows)["agreeing"].astype(np.float64)
        scores = agreeing**2 * (1.0 + before["records"] / (before["known"] + _PRIOR))
        return np.where(before["new"], round_sig(scores), np.nan)

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        mine = rows.up_to(row)
        before = self._asked(mine)[-1]
        return {
            "agreeing_bands": int(self._measured(mine)["agreeing"][-1]),
            "bands": BANDS,
            "records_before": int(before["records"]),
            "queries_before": int(before["known"]),
        }

    def learn(self, rows: Rows, of: BoolArray | None = None) -> None:
        by_client = rows.by_client(of)
        by_client = by_client[self._asked(rows)["new"][by_client]]
        self.memory.append(rows.slots[by_client], self._measured(rows)[by_client])
        rows.forget_noted(self.memory_key)

    def _measured(self, rows: Rows) -> Measures:
        return rows.measured(self.memory_key, np.arange(len(rows)), self._measure)

    def _measure(self, x: Inputs) -> Measures:
        out = np.empty(len(x), _ENTRY)
        tags, out["bands"] = self._bands.of(x)
        out["agreeing"] = self._bands.agreeing(tags)
        return out

    def _asked(self, rows: Rows) -> Measures:
        """Of each row whether it is no earlier query of its client again, and what the client asked before."""
        return rows.noted(self.memory_key, lambda: self._walk(rows))

    def _walk(self, rows: Rows) -> Measures:
        out, measured, pool = np.empty(len(rows), _ASKED), self._measured(rows), self.memory.pool
        queries = (measured["bands"], measured["agreeing"])
        history = (pool["bands"], pool["agreeing"], self.memory.owned)
        found = (out["new"], out["known"], out["records"])
        asked(rows.order, rows.begins, rows.slots, *queries, *history, RING, _SAME, _RECORD, *found)
        return out


@dataclass(frozen=True, slots=True, eq=False)
class SketchedMembershipHits:
    """``MembershipHits`` of one training set, to be calibrated: its parameters come from the sketch alone."""

    sketch: TrainingSketch
    info: ClassVar[DetectorInfo] = MembershipHits.info
    resolution: ClassVar[float] = MembershipHits.resolution
    costly: ClassVar[bool] = MembershipHits.costly

    def fit(self, clean: EventBatch) -> Params:  # noqa: ARG002  # the name is the contract's
        return self.sketch.params

    def __call__(self, params: Params) -> MembershipHits:
        return MembershipHits(params)
