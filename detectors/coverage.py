"""Model extraction: queries that range over inputs the model's own traffic never shows."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np

from detectors.answers import Codes, answer_codes
from detectors.batch import EventBatch, FloatArray, IntArray, round_sig
from detectors.contract import DetectorInfo, Params
from detectors.exact import figure, row_blocks
from detectors.finding import Attack
from detectors.kernels.measures import third_least
from detectors.length import Length
from detectors.regions import RING, Regions
from detectors.residue import Residue
from detectors.rows import Rows
from detectors.sampling import fair_rows

#: Clean rows that a query is compared with: of an answer, and of all answers together.
REFERENCES: Final = 256
_ALL_REFERENCES: Final = 8192
_LEAST_REFERENCES: Final = 32


class Coverage(Regions):
    """Thieves label what they have: pictures of another domain, random or synthetic inputs (KnockoffNets, Orekondy,
    Schiele, Fritz 2019, arXiv 1812.02766). As in D-ADD (AAAI 2025) and FDINet (arXiv 2306.11338) a query counts by its
    distance from clean traffic that was answered as it was:

        s = sqrt(d_3^2 / q + max(residue^2 - 1, 0) * [the residue is not noise] + e)

    with d_3 the distance to the third nearest of up to 256 clean rows of the same answer along the q leading principal
    directions, each in units of its standard deviation; of any answer, if fewer than 50 clean rows have this one. (With
    more than 32 answers there are 8192 rows in all, but at least 32 an answer.) The residue (``detectors.residue``) is
    what those directions leave out; a clean input with noise is no input of another kind, and is looked at by
    ``noise_residue``. Of models whose inputs all have one length, e is what an input is off it (``detectors.length``).
    Only rows in a place new to their client have an opinion (``detectors.regions``).
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "coverage", "2", Attack.EXTRACTION, "AML.T0024.002", "queries that range far outside the model's clean traffic"
    )
    #: Smallest difference in score that means anything (usual scores are about 0.7).
    resolution: ClassVar[float] = 0.1

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self._residue = Residue(params)
        self._length = Length(params)
        #: By code of the answer, last those of all answers.
        self._references = np.split(params["references"].astype(np.float64), params["reference_ends"][:-1])
        self._squares = [np.sum(some**2, axis=1) for some in self._references]
        codes = [np.full(len(some), code) for code, some in enumerate(self._references)]
        distances = [self._squared_distance(s, c) for s, c in zip(self._references, codes, strict=True)]
        self._usual = np.sqrt([np.median(some) for some in distances])

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        params = cls.with_planes(Residue.fit(clean), clean) | Length.fit(clean)
        codes = answer_codes(params["answers"], clean.labels)
        answers = len(params["answers"])
        each = min(max(_ALL_REFERENCES // max(answers, 1), _LEAST_REFERENCES), REFERENCES)
        chosen = [_fair(clean, np.flatnonzero(codes == code), each) for code in range(answers)]
        chosen.append(fair_rows(clean, REFERENCES))
        located = Regions(params).locate(clean.x[np.concatenate(chosen)])
        ends = np.cumsum([len(rows) for rows in chosen])
        return params | {"references": located["white"].astype(np.float32), "reference_ends": ends}

    def score(self, rows: Rows) -> FloatArray:
        new = self.entering(rows)
        out = np.full(len(rows), np.nan)
        squared = self._squared_distance(self.located(rows)["white"][new], self.visits(rows)["code"][new])
        off_length = self._length.excess(rows.batch.x, new)
        out[new] = round_sig(np.sqrt(squared + self._foreign(rows, new) + off_length))
        return out

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        mine = rows.up_to(row)
        last = len(mine) - 1
        known = int(self.memory.counts(rows.slots[row : row + 1])[0])
        code = answer_codes(self.answers, mine.batch.labels[last:])
        off = {"off_length": figure(self._length.off(mine.batch.x[last:])[0])} if self._length.is_fixed else {}
        return off | {
            "distance": figure(np.sqrt(self._squared_distance(self.located(mine)["white"][last:], code)[0])),
            "usual_distance": figure(self._usual[code[0]]),
            "foreign_residue": figure(np.sqrt(self._foreign(mine, np.array([last]))[0])),
            "places_entered": min(known + len(self.entering(mine)), RING),
        }

    def _foreign(self, rows: Rows, wanted: IntArray) -> FloatArray:
        measured = self._residue.of(rows, wanted)
        return np.where(measured["noise"], 0.0, np.maximum(measured["residue"] ** 2 - 1.0, 0.0))

    def _squared_distance(self, white: FloatArray, codes: Codes) -> FloatArray:
        """d_3^2 / q of rows whose answers have the codes."""
        nearest = np.empty(len(white))
        for code in np.unique(codes).tolist():
            mine = np.flatnonzero(codes == code)
            references, squares = self._references[code], self._squares[code]
            for block in row_blocks(len(mine), len(references)):
                some = white[mine[block]]
                least = np.empty(len(some))
                third_least(some @ references.T, np.sum(some**2, axis=1), squares, least)
                nearest[mine[block]] = least
        return np.asarray(np.maximum(nearest, 0.0) / white.shape[1])


def _fair(clean: EventBatch, rows: IntArray, most: int) -> IntArray:
    """A fair sample of some of the rows."""
    return rows[fair_rows(clean.take(rows), most)]
