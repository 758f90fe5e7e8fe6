"""Evidence by client and detector, most of which is nothing: only the rest takes room."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.batch import BoolArray, IntArray
from detectors.growing import grown
from detectors.kernels.evidence import MISSED, NOTHING

Units = npt.NDArray[np.int32]
Places = npt.NDArray[np.int32]

#: What is stored of a client and detector: the place's mark, or that its sums are among the rows.
_ROW: Final = 0
#: Rows are packed anew when less than this share of them is in use.
_PACK_BELOW: Final = 0.5
_PACK_LEAST: Final = 4096


class Held:
    """Log M in units, by slot (``detectors.clients``) and detector.

    Few clients have had hits lately. All others' sums are 0, or what a first miss leaves, and a mark says which.

    Attributes:
        places: int32 ``(slots, d)``: ``NOTHING``, ``MISSED`` or a row of ``rows``.
        rows: sums, int32 ``(m, l, g)``; those free name the next one in their first number.
        free: int64 ``(3,)``: the first free row, -1 if there is none; the end of what was ever in use; rows in use.
        miss: steps of a miss in units, int64 ``(d, l, g)``.
    """

    def __init__(self, miss: IntArray) -> None:
        self.miss = miss
        self.places: Places = np.empty((0, len(miss)), dtype=np.int32)
        self.rows: Units = np.empty((0, *miss.shape[1:]), dtype=np.int32)
        self.free: IntArray = np.array([-1, 0, 0])

    @property
    def row_bytes(self) -> int:
        return self.rows.itemsize * math.prod(self.rows.shape[1:])

    @property
    def nbytes(self) -> int:
        """Memory of all rows in use."""
        return int(self.free[2]) * self.row_bytes

    def room(self, rows: int) -> None:
        """Make room for so many more rows. Untouched memory costs nothing."""
        used = int(self.free[1])
        self.rows = grown(self.rows, used + rows, used=used)

    def of(self, slots: IntArray) -> Units:
        """Sums of clients, ``(k, d, l, g)``."""
        places = self.places[slots]
        out = np.where((places == MISSED)[:, :, None, None], self.miss, 0).astype(np.int32)
        out[places >= 0] = self.rows[places[places >= 0]]
        return out

    def clear(self, slots: IntArray) -> None:
        """Nothing is held against these clients; each slot comes once."""
        self._release(self.places[slots])
        self.places[slots] = NOTHING

    def drop(self, slot: int, d: int) -> None:
        """Nothing is held by a detector."""
        self._release(self.places[slot, d : d + 1])
        self.places[slot, d] = NOTHING

    def row_counts(self, slots: IntArray) -> IntArray:
        """Rows of the clients, ``(k,)``."""
        return np.asarray(np.count_nonzero(self.places[slots] >= 0, axis=1), dtype=np.int64)

    def pack(self) -> None:
        """Give memory back if much of it is free; what is in use does not change."""
        _, end, count = self.free.tolist()
        if end >= _PACK_LEAST and count < _PACK_BELOW * end:
            used = self.places >= 0
            self.rows = self.rows[self.places[used]]
            self.places[used] = np.arange(count, dtype=np.int32)
            self.free[:] = -1, count, count

    def stored(self, places: Places) -> bytes:
        """Rows of clients, of whom ``places`` is a copy of theirs: it becomes marks. ``restore`` takes both back."""
        has = places >= 0
        rows: Units = self.rows[places[has]]
        places[has] = _ROW
        return rows.astype("<i4", copy=False).tobytes()

    def restore(self, slots: IntArray, d: int, marks: Places, rows: Units) -> None:
        """A detector's marks for clients of whom nothing is held, and a row for each that has one."""
        has: BoolArray = marks == _ROW
        self.room(len(rows))
        begin = int(self.free[1])
        self.places[slots, d] = marks
        self.places[slots[has], d] = np.arange(begin, begin + len(rows), dtype=np.int32)
        self.rows[begin : begin + len(rows)] = rows
        self.free[1:] += len(rows)

    def _release(self, places: Places) -> None:
        freed = places[places >= 0]
        if len(freed):
            self.rows[freed, 0, 0] = np.append(self.free[:1], freed[:-1])
            self.free[0] = freed[-1]
            self.free[2] -= len(freed)


@dataclass(frozen=True, slots=True, eq=False)
class StoredRows:
    """What ``Held.stored`` left: marks ``(k, d)``, where in ``rows`` each pair's are, and the rows."""

    marks: Places
    at: IntArray
    rows: Units

    def of(self, clients: BoolArray, d: int) -> tuple[Places, Units]:
        """Marks of some clients, and a row for each that has one."""
        marks = self.marks[clients, d]
        return marks, self.rows[self.at[clients, d][marks == _ROW]]


def stored_rows(marks: Places, stored: bytes, shape: tuple[int, ...]) -> StoredRows | None:
    """Marks ``(k, d)`` and rows of one ``shape``, ``(l, g)``; None if they do not fit."""
    rows = np.frombuffer(stored, "<i4")
    has = marks == _ROW
    if len(rows) != math.prod(shape) * np.count_nonzero(has) or (marks > _ROW).any():
        return None
    return StoredRows(marks, (np.cumsum(has) - 1).reshape(marks.shape), rows.reshape(-1, *shape))
