"""Model extraction: a mixture of answers that no clean client gets."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np

from detectors.answers import answer_codes
from detectors.batch import EventBatch, FloatArray, IntArray, round_sig
from detectors.contract import DetectorInfo, Params
from detectors.exact import figure
from detectors.finding import Attack
from detectors.rows import Rows
from detectors.visits import Blocks, Looked, Visits

#: Clean clients whose mixture is kept: those with most rows, of those that have enough.
_CLIENTS: Final = 256
_LEAST_ROWS: Final = 20
#: Rows of everybody's mixture added to each client's, and rows that a client of one answer alone is taken to have.
_PRIOR_ROWS: Final = 4.0
_SOLE_ROWS: Final = 60.0
#: Logs are multiples of this, so that sums over a block are exact.
_STEP: Final = 2.0**-20


class LabelBalance(Visits):
    """What is made up is answered by other labels than what is real: noise falls into one or two classes (Orekondy,
    Schiele, Fritz 2019, arXiv 1812.02766), pictures of another domain into odd ones, and who chooses queries by class
    gets each as often (PRADA, Juuti et al. 2019, arXiv 1805.02628). Clients differ in what they send, so a mixture is
    held against that of the clean client it is most like:

        s = min over r of  sum_y h(y) log(h(y) / q_r(y)),    nats

    with h the shares of answers y in a block of 32 entries into new places, and q_r: the mixtures of up to 256 clean
    clients, of all of them together, and of one who gets nothing but y, for each y (a specialist); each with 4 rows of
    everybody's added. Answers that fewer than 50 clean rows have count as one.
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "label_balance",
        "1",
        Attack.EXTRACTION,
        "AML.T0024.002",
        "a mixture of answers that no clean client gets",
        lasting_cause=True,
        circumstantial=True,
    )
    #: Smallest difference in score that means anything.
    resolution: ClassVar[float] = 0.05
    block: ClassVar[int] = 32
    looked_at: ClassVar[Looked] = "code"

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self._log_mixtures = params["log_mixtures"].astype(np.float64)
        counts = np.arange(self.block + 1)
        self._count_log_count = np.rint(counts * np.log(np.maximum(counts, 1) / self.block) / _STEP) * _STEP

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        params = cls.fit_regions(clean)
        codes = answer_codes(params["answers"], clean.labels)
        answers = len(params["answers"]) + 1
        whole = np.bincount(codes, minlength=answers) + 1.0 / answers
        clients = [rows for rows in clean.by_client().values() if len(rows) >= _LEAST_ROWS]
        clients = sorted(clients, key=len, reverse=True)[:_CLIENTS]
        rows = np.array([np.bincount(codes[mine], minlength=answers) for mine in clients]).reshape(-1, answers)
        mixtures = np.concatenate([rows, _SOLE_ROWS * np.eye(answers), whole[None]])
        mixtures += _PRIOR_ROWS * whole / whole.sum()
        logs = np.log(mixtures / mixtures.sum(axis=1, keepdims=True))
        return params | {"log_mixtures": np.rint(logs / _STEP) * _STEP}

    def judge(self, blocks: Blocks) -> FloatArray:
        counts = self._counts(blocks)
        own = self._count_log_count[counts].sum(axis=1)
        return round_sig((own - np.max(counts @ self._log_mixtures.T, axis=1)) / self.block)

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        block = self.ended(rows, row)
        if not len(block):
            return {}
        counts = self._counts(block)[0]
        nearest = np.exp(self._log_mixtures[np.argmax(self._log_mixtures @ counts)])
        most = np.argsort(-counts, kind="stable")[: min(5, np.count_nonzero(counts))]
        return {
            "nats": figure(self.judge(block)[0]),
            "inputs": self.block,
            "answers": [
                {"label": self._label(at), "share": figure(counts[at] / self.block), "nearest": figure(nearest[at])}
                for at in most.tolist()
            ],
        }

    def _counts(self, blocks: Blocks) -> IntArray:
        answers = self._log_mixtures.shape[1]
        at = np.arange(len(blocks))[:, None] * answers + np.minimum(blocks, answers - 1)
        return np.bincount(at.reshape(-1), minlength=len(blocks) * answers).reshape(-1, answers)

    def _label(self, code: int) -> int | str:
        return int(self.answers[code]) if code < len(self.answers) else "other"
