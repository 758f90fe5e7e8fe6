"""Queries halfway between two earlier ones."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np

from detectors.batch import EventBatch, FloatArray, IntArray, round_sig
from detectors.contract import DetectorInfo, Params
from detectors.exact import figure
from detectors.finding import Attack
from detectors.kernels.midpoints import halfway
from detectors.queries import RING, Queries
from detectors.rows import Rows

#: One of the two is among so many of the client's latest distinct queries: a search goes on from its last step.
_LATEST: Final = 12
#: Least squared ratio of distances that counts, one bit.
_LEAST: Final = 4.0
#: Most that counts: a distance is known to a few thousandths of a standard unit, whatever it is.
_MOST_BITS: Final = 8.0


class Bisection(Queries):
    """Whoever looks for a decision boundary between two inputs halves the way between them, again and again: so do
    HopSkipJump (arXiv 1904.02144), GeoDA (arXiv 2003.06468), searches along a line for extraction (Tramer et al. 2016,
    arXiv 1609.02943) and label-only membership inference (Choquette-Choo et al. 2021, arXiv 2007.14321). The first
    steps are as far apart as any two inputs; but each lies exactly between two earlier ones:

        s = max over a, b of log2(|q - a| / |2 q - a - b|),    at most 8; 0 if below 1

    with q the query, a one of the client's 12 latest distinct queries, b one of its 44, and distances those of ``z``
    (``detectors.queries``). What a camera sees is nowhere between two of its frames but by chance: of frames of a scene
    that rests, noise makes s negative; a scene that changes moves on. Answers play no part.

    Byte-identical repeats and a client's first two queries have no opinion.
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "bisection",
        "1",
        Attack.EVASION,
        "AML.T0043.001",
        "queries halfway between two earlier ones",
        lasting_cause=True,
    )

    #: Smallest difference in score that means anything: twice as exact.
    resolution: ClassVar[float] = 1.0

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        return cls.fit_queries(clean)

    def score(self, rows: Rows) -> FloatArray:
        ratio, _ = self._halfway(rows)
        bits = 0.5 * np.log2(np.maximum(ratio, 1.0))
        return round_sig(np.where(ratio < 0, np.nan, np.minimum(bits, _MOST_BITS)))

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        mine = rows.up_to(row)
        ratio, back = self._halfway(mine)
        if ratio[-1] <= 0:
            return {}
        return {
            "off_half_way": figure(0.25 / np.sqrt(float(ratio[-1]))),  # in shares of the way from a to b
            "queries_ago": back[-1].tolist(),
            "queries_compared": self.known(rows, row),
        }

    def _halfway(self, rows: Rows) -> tuple[FloatArray, IntArray]:
        """Squared ratio of each row, -1 for no opinion, and how many queries ago the two were."""
        ratio, back = np.empty(len(rows)), np.empty((len(rows), 2), dtype=np.int64)
        memory, queries = self.memory, self.remembered(rows)
        walk = (rows.order, rows.begins, rows.slots, self.new(rows))
        halfway(*walk, memory.pool["z"], queries["z"], memory.owned, RING, _LATEST, _LEAST, ratio, back)
        return ratio, back
