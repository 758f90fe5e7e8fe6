"""Queries nearer to earlier ones, or to where these lead, than two measurements ever are."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np

from detectors.batch import EventBatch, FloatArray, IntArray, round_sig
from detectors.contract import DetectorInfo, Params
from detectors.exact import figure
from detectors.finding import Attack
from detectors.kernels.steps import foretold
from detectors.queries import DETAIL_DIMS, DETAIL_STEPS, LATEST, RING, Queries
from detectors.rows import Rows

#: What noise leaves at least of a regular step, squared, in whole steps of the detail's coordinates.
_STEP_FLOOR: Final = 3.0 * DETAIL_STEPS**2
#: Least squared ratio to it that counts, three bits: one for a camera with half the noise of the quietest in clean
#: traffic, and two since one of some 500 pairs of its frames comes near by chance.
_LEAST: Final = 64.0
#: Squared difference that rounding leaves of three coordinates, each in whole steps: (1 + 4 + 1) / 12 in each.
_ROUNDING: Final = DETAIL_DIMS / 2.0


class NoiseFloor(Queries):
    """What a camera or an instrument measures has noise in every detail, each time another one: two of its inputs are
    the same to the byte (one sent again) or differ by at least the noise. Searches for an adversarial example compute
    their next query from the last one and do not: steps along the boundary (Boundary attack, Brendel, Rauber, Bethge
    2018, arXiv 1712.04248), bisections, estimates of a gradient (HopSkipJump, arXiv 1904.02144; GeoDA, arXiv
    2003.06468; Sign-OPT, arXiv 1909.10773), one smooth direction at a time (SimBA, arXiv 1905.07121). So

        s = max(0, log2(f / min_j d_j), r)
        r = max over a, b of log2(sqrt(3) f / |q - 2 a + b|), at most 5.5; counts from 3 on

    with d_j the distance in detail of the query q to the j-th of the client's last 44 distinct ones and f the
    ``detail_floor``, which different queries of clean clients hardly ever come below (both in ``detectors.queries``).

    r is for *regular steps*, however wide: walks along a line, sweeps of one feature, a step tried forwards and then
    backwards (finite differences in ZOO, arXiv 1708.03999; SimBA); a is one of the latest 12 queries, b any. A scene
    may move evenly, but if two of its frames differ by f, their noise, then q - 2 a + b is sqrt(3) f: the variances of
    three frames once, four times and once, where a difference of two has once and once.

    For pictures detail is what two Laplacians leave: there noise weighs most, and what moves in a scene least. Answers
    play no part.

    Byte-identical repeats and a client's first query have no opinion.
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "noise_floor",
        "2",
        Attack.EVASION,
        "AML.T0043.001",
        "queries that lie nearer to where earlier ones lead than two measurements do",
        lasting_cause=True,
    )

    #: Smallest difference in score that means anything: the next camera may have half the noise of the quietest one
    #: in clean traffic, and the least of 44 distances, each estimated to about a fifth, may come out lower still.
    resolution: ClassVar[float] = 1.0

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        return cls.fit_queries(clean)

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self._floor = float(params["detail_floor"])

    def score(self, rows: Rows) -> FloatArray:
        near, regular, _ = self._foretold(rows)
        floors = np.sqrt(np.maximum(near, 1.0)) / DETAIL_STEPS  # one step: less is not known
        bits = np.maximum(-np.log2(floors), _regular_bits(regular))
        return round_sig(np.where(near < 0, np.nan, bits))

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        mine = rows.up_to(row)
        near, regular, back = self._foretold(mine)
        if near[-1] < 0:
            return {}
        said = {
            "detail_distance": figure(np.sqrt(near[-1]) / DETAIL_STEPS * self._floor),
            "least_among_clean": figure(self._floor),
            "queries_compared": self.known(rows, row),
        }
        if back[-1, 0]:
            said["off_regular_step"] = figure(np.sqrt(regular[-1]) / DETAIL_STEPS * self._floor)
            said["step_from_queries_ago"] = back[-1].tolist()
        return said

    def _foretold(self, rows: Rows) -> tuple[FloatArray, FloatArray, IntArray]:
        """Of each row the least squared distance in detail, -1 where there is none, and the least squared difference
        from a regular step, in whole steps of the coordinates; and how many queries ago those two were."""
        near, regular, back = np.empty(len(rows)), np.empty(len(rows)), np.empty((len(rows), 2), dtype=np.int64)
        queries, memory = self.remembered(rows), self.memory
        walk = (rows.order, rows.begins, rows.slots, self.new(rows))
        known = (memory.pool["detail"], queries["detail"], memory.owned)
        foretold(*walk, *known, RING, LATEST, _STEP_FLOOR / _LEAST, _ROUNDING, near, regular, back)
        return near, regular, back


def _regular_bits(regular: FloatArray) -> FloatArray:
    """r of each row; 0 where it does not count."""
    bits = 0.5 * np.log2(_STEP_FLOOR / np.maximum(regular, _ROUNDING))
    return np.asarray(np.where(regular < _STEP_FLOOR / _LEAST, bits, 0.0))
