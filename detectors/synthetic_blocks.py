"""Model extraction: inputs no single one of which gives itself away, but eight of which do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from detectors.answers import answer_codes, means_by_answer
from detectors.batch import BoolArray, EventBatch, FloatArray, round_sig
from detectors.contract import DetectorInfo, Params
from detectors.digest import params_digest
from detectors.exact import figure
from detectors.finding import Attack
from detectors.history import Entries, History
from detectors.kernels.leaps import block_means, leaping
from detectors.made import Made
from detectors.pictures import is_picture
from detectors.regions import APART, LATEST, LEAP
from detectors.rows import Rows
from detectors.sampling import fair_rows

BLOCK: Final = 8
#: A block that is not full after so many rows of its client is given up.
LONGEST: Final = 64
#: Log odds beyond this count as this much: one strange input is one input.
_MOST: Final = 4.0
_FIT_ROWS: Final = 6000
_STATE: Final = np.dtype(
    [("latest", "<i8", (LATEST,)), ("sum", "<f8"), ("seen", "<i4"), ("count", "<i2"), ("rows", "<i2")]
)


@dataclass(frozen=True, slots=True, eq=False)
class _Walked:
    """Mean of the block that ends at each row, NaN elsewhere; and what is to be remembered of each client."""

    means: FloatArray
    states: Entries


class SyntheticBlocks(Made):
    """A mixture of two records, or a draw from a good model of them, is hardly told from a record. A hundred are: the
    evidence of each is small, and all have it (the sum of log likelihood ratios: Wald 1945). So the log odds of
    ``detectors.synthetic`` are added up in blocks of 8 that do not overlap:

        s = mean over a block of  max(-4, min(4, o_i)) - m(y_i)

    with o_i the log odds that the row was made, and m(y) the mean of them over the clean rows with the same answer: a
    specialist sends one class, and some classes look more like made inputs than others. Only the row that ends a block
    has an opinion.

    A camera whose scene melts into the next sends mixtures, too, but it comes to them step by step. Only leaps count:
    rows whose place (``detectors.regions``) differs in at least 12 of 48 signs from each of the client's latest 4, each
    of which differed in 6 from the 4 before. And a block that 64 rows of the client do not fill is given up: who
    nearly always steps has no blocks at all, while an attacker hides behind seven ordinary rows to a query.

    Pictures have no opinion: what a sensor does to all pictures of a client looks made in each of them, and eight of a
    sensor that calibration did not see would be no more evidence than one.
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "synthetic_blocks", "2", Attack.EXTRACTION, "AML.T0024.002", "inputs that together look made, one by one or not"
    )
    #: Smallest difference in score that means anything: odds a quarter higher.
    resolution: ClassVar[float] = 0.25

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self._usual = params["usual_odds"].astype(np.float64)
        self._walk_key = b"blocks " + self._odds_key
        self.memory = History(_STATE, 1)
        self.memory_key = b"synthetic_blocks " + params_digest(params)

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        params = cls.fit_made(clean)
        some = clean.take(fair_rows(clean, _FIT_ROWS))
        blind = Made(params)
        alone = Rows(some, np.arange(len(some)))
        odds = np.clip(blind.odds(alone, np.arange(len(some))), -_MOST, _MOST)
        return params | {"usual_odds": means_by_answer(params["answers"], some.labels, odds)}

    def score(self, rows: Rows) -> FloatArray:
        return self._walked(rows).means

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        mean = self._walked(rows).means[row]
        return {} if np.isnan(mean) else {"mean_log_odds": figure(float(mean)), "inputs": BLOCK}

    def learn(self, rows: Rows, of: BoolArray | None = None) -> None:
        if is_picture(rows.batch.shape):
            return
        some = slice(None) if of is None else of
        self.memory.append(rows.clients[some], self._walked(rows).states[some])
        rows.forget_noted(self._walk_key)

    def _walked(self, rows: Rows) -> _Walked:
        """``_walk``, once for all who ask before anything is learned."""
        if is_picture(rows.batch.shape):
            return _Walked(np.full(len(rows), np.nan), np.empty(0, _STATE))
        return rows.noted(self._walk_key, lambda: self._walk(rows))

    def _walk(self, rows: Rows) -> _Walked:
        states = np.zeros(len(rows.clients), _STATE)
        counts, known = self.memory.gather(rows.clients)
        states[counts > 0] = known
        latest, sums, seen, count, since = (
            np.ascontiguousarray(states[name]) for name in ("latest", "sum", "seen", "count", "rows")
        )
        leaps = np.empty(len(rows), dtype=np.bool_)
        places = np.ascontiguousarray(self.located(rows)["place"])
        leaping(rows.order, rows.begins, places, APART, LEAP, latest, seen, leaps)
        values = np.full(len(rows), np.nan)
        wanted = self.quiet(rows, np.flatnonzero(leaps))
        usual = self._usual[answer_codes(self.answers, rows.batch.labels[wanted])]
        values[wanted] = np.clip(self.odds(rows, wanted), -_MOST, _MOST) - usual
        means = np.full(len(rows), np.nan)
        block_means(rows.order, rows.begins, values, BLOCK, LONGEST, sums, count, since, means)
        # What has been seen counts only up to the ring's length, and its place in the ring.
        states["latest"], states["sum"], states["count"], states["rows"] = latest, sums, count, since
        states["seen"] = np.where(seen < LATEST, seen, LATEST + seen % LATEST)
        return _Walked(round_sig(means), states)
