"""Rows that are compared across clients: once each, as they are saved and sent, and as entries of their bands."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from detectors.band_entries import ENTRY, Entries, ordered
from detectors.batch import BoolArray, IntArray
from detectors.detail import BLOCKS
from detectors.fingerprints import BANDS
from detectors.records import taken

#: Two of a picture's parts each.
_PARTS: Final = BLOCKS // 2
_FIELDS: Final = [
    *((name, ENTRY[name]) for name in ("digest", "ts", "label", "z")),
    ("kept", "u1"),
    ("bands", "u1"),
]
#: As ``ENTRY``, with the cells in all bands; and ``bands``, a bit for each that the row is to be compared in.
BAND_ROW: Final = np.dtype([("cells", "<i8", (BANDS,)), *_FIELDS])
PICTURE_ROW: Final = np.dtype([("cells", "<i8", (BANDS + 1,)), *_FIELDS, ("parts", "<i2", (_PARTS,))])


def row_kind(bands: int) -> np.dtype[Any]:
    """Of a model whose rows are compared in so many bands."""
    return BAND_ROW if bands == BANDS else PICTURE_ROW


class Spread(NamedTuple):
    """Attributes:
    entries: ``ENTRY``, in order (``ordered``). row: which row each comes from. band: the band it is of.
    """

    entries: Entries
    row: IntArray
    band: IntArray

    def bands(self, marked: BoolArray, rows: int) -> npt.NDArray[np.uint8]:
        """A bit for each band in which an entry of a row is ``marked``, for so many rows."""
        bits = np.zeros(rows, dtype=np.uint8)
        row, band = self.row[marked], self.band[marked]
        for b in range(BANDS + 1):  # in a band a row comes once
            bits[row[band == b]] |= np.uint8(1 << b)
        return bits


def spread(found: Entries) -> Spread:
    """Rows of a ``row_kind`` as entries, one for each of their bands."""
    rows = found.rows
    of = [np.flatnonzero(rows["bands"] & (1 << b)) for b in range(rows["cells"].shape[1])]
    row, band = np.concatenate(of), np.repeat(np.arange(len(of)), [len(mine) for mine in of])
    entries = np.zeros(len(row), dtype=ENTRY)
    for name in ("digest", "ts", "label", "kept"):
        entries[name] = rows[name][row]
    entries["cell"] = rows["cells"][row, band]
    of_parts = band == BANDS
    entries["z"][~of_parts] = rows["z"][row[~of_parts]]
    if of_parts.any():
        entries["z"][of_parts, :_PARTS] = rows["parts"][row[of_parts]]
    order = ordered(entries, row, found.clients, found.events)
    row = row[order]
    return Spread(Entries(taken(entries, order), found.clients.take(row), found.events.take(row)), row, band[order])
