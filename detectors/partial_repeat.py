"""Queries that repeat most of an earlier one to the byte, but not all of it."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np

from detectors.batch import EventBatch, FloatArray, IntArray
from detectors.contract import DetectorInfo, Params
from detectors.detail import BLOCKS
from detectors.exact import figure
from detectors.finding import Attack
from detectors.kernels.likeness import equal_blocks
from detectors.pictures import is_picture
from detectors.queries import RING, Queries
from detectors.rows import Rows
from detectors.sampling import fair_rows

_FIT_ROWS: Final = 20_000
_HASHES: Final = 256
_MOST_BITS: Final = 8.0
#: A value that so many clean rows have is background, and weighs nothing.
_COMMON: Final = 1.0 / 100.0
#: Weights are multiples of this, so that sums are exact.
_STEP: Final = 1.0 / 16.0


class PartialRepeat(Queries):
    """Who changes one feature, or one patch, to see what it does leaves the rest as it was, to the byte: finite
    differences (ZOO, Chen et al. 2017, arXiv 1708.03999), patches (Square attack, Andriushchenko et al. 2020, arXiv
    1912.00049), one feature at a time (SimBA, arXiv 1905.07121; Lowd, Meek 2005), attribute inference (Fredrikson,
    Jha, Ristenpart 2015). Who shifts a picture, to see whether the answer bears it, sends its parts again in other
    places (membership inference by augmentation, arXiv 2007.14321). In what a camera or an instrument measures no part
    ever repeats. So

        s = largest over j of  sum over blocks b that are equal of  -log2 P(b)

    over the client's last 44 distinct queries j, with 16 blocks of an input, each known by a hash of one byte
    (``detectors.queries``): the parts of a picture, wherever they lie (``detectors.parts``); otherwise features dealt
    out in secret, and the second largest, since a form corrected and sent again agrees with one earlier query. P is the
    share of clean rows with that hash, at least 2^-8; what 1 in 100 clean rows has (borders, usual answers of a form)
    weighs nothing, nor does a part that a picture does not have. So s is about 8 bits for each block that is the same
    and need not be.

    Byte-identical repeats and a client's first query have no opinion. Where clean clients correct forms or cut the same
    picture anew, calibration sees it.
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "partial_repeat", "3", Attack.EVASION, "AML.T0043.001", "queries that change one part of an earlier one"
    )

    #: Smallest difference in score that means anything: one block.
    resolution: ClassVar[float] = 8.0

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self._bits = params["block_bits"].astype(np.float64)

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        params = cls.fit_queries(clean)
        x = clean.x[fair_rows(clean, _FIT_ROWS)]
        hashes = Queries(params).block_hashes(x)
        shares = np.stack([np.bincount(hashes[:, b], minlength=_HASHES) for b in range(BLOCKS)]) / len(x)
        bits = -np.log2(np.clip(shares, 2.0**-_MOST_BITS, 1.0))
        bits = np.where(shares < _COMMON, np.floor(bits / _STEP) * _STEP, 0.0)
        if is_picture(clean.shape):
            bits[:, 0] = 0.0
        return params | {"block_bits": bits.astype(np.float32)}

    def score(self, rows: Rows) -> FloatArray:
        return self._equal(rows)[0]

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        mine = rows.up_to(row)
        bits, equal = self._equal(mine)
        if np.isnan(bits[-1]):
            return {}
        return {
            "equal_bits": figure(bits[-1]),
            "equal_blocks": int(equal[-1]),
            "blocks": BLOCKS,
            "queries_compared": self.known(rows, row),
        }

    def _equal(self, rows: Rows) -> tuple[FloatArray, IntArray]:
        """Bits of the equal blocks of each row, NaN where there is no opinion, and how many blocks they are."""
        queries, pool = self.remembered(rows), self.memory.pool
        bits, equal = np.empty(len(rows)), np.empty(len(rows), dtype=np.int64)
        equal_blocks(
            rows.order,
            rows.begins,
            rows.slots,
            self.new(rows),
            pool["blocks"],
            queries["blocks"],
            self.memory.owned,
            RING,
            self._parts is not None,
            self._bits,
            bits,
            equal,
        )
        return bits, equal
