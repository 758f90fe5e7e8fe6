"""Boundary hugging: answers without a clear winner, one after the other."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from detectors.answers import DOUBT_STEPS, NO_DOUBT, doubts, means_by_answer
from detectors.batch import EventBatch, FloatArray, round_sig
from detectors.contract import DetectorInfo, Params
from detectors.exact import figure
from detectors.finding import Attack
from detectors.rows import Rows
from detectors.visits import Blocks, Counted, Looked, Visits


class Confidence(Visits):
    """Whoever searches for a boundary, or for what the model knows least (uncertainty sampling: Papernot et al. 2017,
    arXiv 1602.02697; boundary closeness: Kesarwani et al. 2018, arXiv 1711.07221), gets answers without conviction
    (Hendrycks & Gimpel 2017, arXiv 1610.02136). One such answer is a hard input; eight in a row are not:

        s = mean over a block of 8 leaps of  b_i - m(y_i),    b_i = -log2 max(p_1 - p_2, 2^-10)

    with p_1 and p_2 the two largest class probabilities, and m(y) the mean of b over clean rows with the answer y: some
    classes are harder than others, and a specialist sends one. Only leaps count (``detectors.regions``): frames of one
    doubtful scene are one doubt.

    No opinion without at least two scores. After a shift everybody's inputs are doubtful.
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "confidence",
        "2",
        Attack.EVASION,
        "AML.T0043.001",
        "answers without a clear winner, one after the other",
        lasting_cause=True,
        circumstantial=True,
    )
    #: Smallest difference in score that means anything: margins a sixth narrower.
    resolution: ClassVar[float] = 0.25
    block: ClassVar[int] = 8
    counted: ClassVar[Counted] = "leap"
    looked_at: ClassVar[Looked] = "answer"

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self._usual = params["usual_doubt"].astype(np.float64)

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        params = cls.fit_regions(clean)
        bits = _bits(doubts(clean, np.arange(len(clean))))
        return params | {"usual_doubt": means_by_answer(params["answers"], clean.labels, bits)}

    def judge(self, blocks: Blocks) -> FloatArray:
        codes, bits = self._read(blocks)
        return round_sig(np.mean(bits - self._usual[codes], axis=1))

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        codes, bits = self._read(self.ended(rows, row))
        if not len(bits) or np.isnan(bits).any():
            return {}
        margin, usual = (figure(2.0 ** -float(each.mean())) for each in (bits, self._usual[codes]))
        return {"margin": margin, "usual_margin": usual, "inputs": self.block}

    def _read(self, blocks: Blocks) -> tuple[Blocks, FloatArray]:
        """Codes of the answers, and bits of doubt."""
        return np.minimum(blocks & 0xFF, len(self.answers)), _bits(blocks >> 8)


def _bits(doubt: Blocks) -> FloatArray:
    return np.where(doubt == NO_DOUBT, np.nan, doubt / DOUBT_STEPS)
