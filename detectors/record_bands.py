"""Salted fingerprints of records: rows that are nearly the same share some, and no row can be read off them."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.batch import FloatArray, IntArray
from detectors.contract import Params
from detectors.digest import mixed
from detectors.exact import row_blocks
from detectors.kernels.records import agreeing
from detectors.rows import Inputs
from detectors.scale import Scale

DIMS: Final = 32
BANDS: Final = 8
PER_BAND: Final = 8
#: A cell number beyond this is not told apart.
_MOST: Final = 1 << 40

Tags = npt.NDArray[np.uint32]
Marks = npt.NDArray[np.uint16]


class RecordBands:
    """Of a row ``x`` in standard units (``detectors.scale``) 32 sums with random signs (Achlioptas 2003)

        z_i = sum_j s_ij x_j / sqrt(d)

    each of whose differences between two rows estimates their root mean square difference per feature. A *band* is 8
    of them, drawn at random, shifted by random offsets and cut into cells ``width`` wide (p-stable hashing: Datar,
    Immorlica, Indyk, Mirrokni 2004). Its fingerprint is a keyed hash of the cell. Two rows at distance c agree in one
    of the 8 bands with probability about (1 - 0.8 c / width)^8.

    Of each hash the highest bits are the *tag*, which is held against the records' tags, and the lowest 16 the *mark*,
    which is held against the client's own earlier rows.
    """

    def __init__(self, params: Params) -> None:
        """Raises KeyError, ValueError or TypeError for parameters that no sketch has."""
        self._scale = Scale(params)
        d = len(params["median"])
        self._signs = params["signs"].astype(np.float64)
        self._members = params["members"].astype(np.int64)
        self._offsets = params["offsets"].astype(np.float64)
        self._mix = params["mix"].astype(np.uint64)
        self._width, self._bits = float(params["width"]), int(params["bits"])
        self._begins = params["begins"].astype(np.int64)
        self._tags = params["tags"].astype(np.uint32, copy=False)
        shapes = (params["scale"].shape, self._signs.shape, self._members.shape, self._offsets.shape, self._mix.shape)
        if shapes != ((d,), (DIMS, d), (BANDS, PER_BAND), (BANDS, PER_BAND), (BANDS, PER_BAND + 1)):
            raise ValueError("arrays do not fit one another")
        if not (0.0 < self._width < np.inf and 1 <= self._bits <= 32 and np.all(np.isfinite(self._offsets))):
            raise ValueError("width, bits or offsets are out of range")
        if self._members.min() < 0 or self._members.max() >= DIMS or not np.all(params["scale"] > 0):
            raise ValueError("sums or scales are out of range")
        ends = [0, *self._begins[1:-1].tolist(), len(self._tags)]
        if len(ends) != BANDS + 1 or self._begins.tolist() != ends or np.any(np.diff(self._begins) < 0):
            raise ValueError("bands do not fit their tags")

    def sums(self, x: Inputs) -> FloatArray:
        """``z`` of rows ``(n, d)``, ``(n, 32)``; each row's whatever the others are."""
        out = np.empty((len(x), DIMS))
        for block in row_blocks(len(x), x.shape[1]):
            out[block] = self._scale(x[block]) @ self._signs.T  # exact: see detectors.exact
        out /= np.sqrt(max(x.shape[1], 1))
        return out

    def of(self, x: Inputs) -> tuple[Tags, Marks]:
        """Tags and marks of rows ``(n, d)``, ``(n, 8)`` each."""
        return self.of_sums(self.sums(x))

    def of_sums(self, z: FloatArray) -> tuple[Tags, Marks]:
        """Tags and marks of rows with these ``sums``."""
        places = np.floor(z[:, self._members] / self._width + self._offsets)
        cells = np.clip(places, -_MOST, _MOST).astype(np.int64).view(np.uint64)
        hashes = mixed((cells * self._mix[:, :-1]).sum(axis=2) + self._mix[:, -1])
        return (hashes >> np.uint64(64 - self._bits)).astype(np.uint32), (hashes & np.uint64(0xFFFF)).astype(np.uint16)

    def agreeing(self, tags: Tags) -> IntArray:
        """In how many bands the rows with these tags are like some record, ``(n,)``."""
        out = np.empty(len(tags), dtype=np.int64)
        agreeing(tags, self._tags, self._begins, out)
        return out
