"""Queries on the straight line between two earlier ones."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np

from detectors.batch import EventBatch, FloatArray, IntArray, round_sig
from detectors.contract import DetectorInfo, Params
from detectors.exact import figure
from detectors.finding import Attack
from detectors.kernels.lines import between
from detectors.queries import LATEST, RING, Queries
from detectors.rows import Rows

#: Least 1 / sin^2 that counts, one bit.
_LEAST: Final = 4.0
#: Most that counts: a direction is known to a few thousandths, however far apart the two are.
_MOST_BITS: Final = 8.0


class Bisection(Queries):
    """Whoever looks for a decision boundary between two inputs divides the way between them, again and again, mostly in
    halves: so do HopSkipJump (arXiv 1904.02144), GeoDA (arXiv 2003.06468), searches along a line for extraction (Tramer
    et al. 2016, arXiv 1609.02943) and label-only membership inference (Choquette-Choo et al. 2021, arXiv 2007.14321);
    the Boundary attack's step towards its victim lies on such a way too (arXiv 1712.04248). The first steps are as far
    apart as any two inputs; but each lies straight between two earlier ones:

        s = max over a, b of log2(1 / sin(a, q, b)),    angles beyond 90 degrees; at most 8; 0 if below 1

    with q the query, a one of the client's 12 latest distinct queries, b one of its 44, and the angle at q, of the ways
    from it to both, by ``z`` (``detectors.queries``): in 8 dimensions little is straight by chance. What a camera sees
    moves on, and noise bends what is near. In what shares the way is divided does not matter. Answers play no part.

    Byte-identical repeats and a client's first two queries have no opinion.
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "bisection",
        "2",
        Attack.EVASION,
        "AML.T0043.001",
        "queries straight between two earlier ones",
        lasting_cause=True,
    )

    #: Smallest difference in score that means anything: twice as straight.
    resolution: ClassVar[float] = 1.0

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        return cls.fit_queries(clean)

    def score(self, rows: Rows) -> FloatArray:
        straight, _, _ = self._between(rows)
        return round_sig(np.where(straight < 0, np.nan, 0.5 * np.log2(np.maximum(straight, 1.0))))

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        mine = rows.up_to(row)
        straight, share, back = self._between(mine)
        if straight[-1] <= 0:
            return {}
        return {
            "bend_degrees": figure(np.degrees(np.arcsin(np.sqrt(1.0 / float(straight[-1]))))),
            "share_of_way": figure(share[-1]),
            "queries_ago": back[-1].tolist(),
            "queries_compared": self.known(rows, row),
        }

    def _between(self, rows: Rows) -> tuple[FloatArray, FloatArray, IntArray]:
        """1 / sin^2 of each row, -1 for no opinion; its share of the way, and how many queries ago the two were."""
        straight, share, back = np.empty(len(rows)), np.empty(len(rows)), np.empty((len(rows), 2), dtype=np.int64)
        memory, queries = self.memory, self.remembered(rows)
        walk = (rows.order, rows.begins, rows.slots, self.new(rows))
        known = (memory.pool["z"], queries["z"], memory.owned)
        between(*walk, *known, RING, LATEST, _LEAST, 4.0**_MOST_BITS, straight, share, back)
        return straight, share, back
