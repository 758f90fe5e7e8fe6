"""Inputs of one length: how far a vector is from the length that all clean ones have."""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.batch import EventBatch, FloatArray, IntArray, round_sig
from detectors.contract import Params
from detectors.rows import Inputs
from detectors.sampling import fair_rows

#: Clean inputs have one length if so many of them are within this share of their median.
_MOST: Final = 0.998
_ONE: Final = 0.01
#: Least spread, in shares of the length: embeddings that a client has rounded are no other inputs.
_LEAST: Final = 0.0025
_FIT_ROWS: Final = 6000


class Length:
    """Embeddings are often scaled to length 1. No sum, mixture or step from such a vector is as long:

        e = max(((|x| - l) / w)^2 - 1, 0)

    with l the median length of clean inputs, and w what 99.8 % of them are within of it, at least 0.25 % of l. If w is
    more than 1 % of l, inputs of this model have no one length, and e is 0; so it is for rows with missing values.
    """

    def __init__(self, params: Params) -> None:
        self._usual = float(params["length"])
        self._spread = float(params["length_spread"])

    @staticmethod
    def fit(clean: EventBatch) -> Params:
        lengths = _lengths(clean.x[fair_rows(clean, _FIT_ROWS)])
        lengths = lengths[~np.isnan(lengths)]
        usual = float(np.median(lengths)) if len(lengths) else 0.0
        spread = max(float(np.quantile(np.abs(lengths - usual), _MOST)), _LEAST * usual) if usual > 0.0 else 0.0
        fixed = 0.0 < spread <= _ONE * usual
        return {"length": round_sig(np.array(usual)), "length_spread": round_sig(np.array(spread if fixed else 0.0))}

    @property
    def is_fixed(self) -> bool:
        """Have clean inputs one length?"""
        return self._spread > 0.0

    def excess(self, x: Inputs, rows: IntArray) -> FloatArray:
        """e of some rows of ``x``, ``(k,)``."""
        if not self.is_fixed:
            return np.zeros(len(rows))
        off = self.off(x[rows]) * self._usual / self._spread
        return np.where(np.isnan(off), 0.0, np.maximum(off**2 - 1.0, 0.0))

    def off(self, x: Inputs) -> FloatArray:
        """By what share of the usual length inputs are longer, ``(n,)``; negative for shorter ones."""
        return np.asarray(_lengths(x) / self._usual - 1.0)


def _lengths(x: Inputs) -> FloatArray:
    wide = x.astype(np.float64)
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", wide, wide)))
