"""Model extraction: a client whose queries spread to where clean traffic hardly goes."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np

from detectors.batch import EventBatch, FloatArray, round_sig
from detectors.contract import DetectorInfo, Params
from detectors.exact import figure
from detectors.finding import Attack
from detectors.regions import Regions
from detectors.rows import Rows
from detectors.visits import Blocks, Looked, Visits

#: Coarse places: the lowest 8 signs of a place.
COARSE: Final = 256


class CoverageGrowth(Visits):
    """To copy a model is to ask about all of the input space, also where nobody else does (PRADA, Juuti et al. 2019,
    arXiv 1805.02628; coverage by buckets: B4B, Dubinski et al. 2023, arXiv 2310.08571). ``coverage`` judges how far one
    query lies; this, to which places a client's queries have spread, each of which may be ordinary:

        s = mean over a block of 16 entries of  -log2(256 f(place_i))

    with the place's lowest 8 signs and f the share of clean rows in such a place (half a row more than there are).
    Entries only: frames of one scene spread nowhere (``detectors.regions``).
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "coverage_growth",
        "1",
        Attack.EXTRACTION,
        "AML.T0024.002",
        "queries that spread to where clean traffic hardly goes",
        lasting_cause=True,
        circumstantial=True,
    )
    #: Smallest difference in score that means anything.
    resolution: ClassVar[float] = 0.05
    block: ClassVar[int] = 16
    looked_at: ClassVar[Looked] = "coarse"

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self._bits = params["place_bits"].astype(np.float64)

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        params = cls.fit_regions(clean)
        coarse = Regions(params).locate(clean.x)["place"] % COARSE
        rows = np.bincount(coarse, minlength=COARSE)
        return params | {"place_bits": round_sig(-np.log2((rows + 0.5) * COARSE / len(clean)))}

    def judge(self, blocks: Blocks) -> FloatArray:
        return round_sig(np.mean(self._bits[blocks], axis=1))

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        block = self.ended(rows, row)
        if not len(block):
            return {}
        rare = int(np.count_nonzero(self._bits[block] > 1.0))
        return {"mean_bits": figure(self.judge(block)[0]), "rare_places": rare, "places": self.block}
