"""Rows of one model and one band that later ones are compared with."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import numpy as np

from detectors.band_entries import ENTRY, Entries, Link
from detectors.batch import BoolArray
from detectors.fingerprints import Reach
from detectors.growing import grown
from detectors.kernels.links import index, meet, pack
from detectors.texts import TextPool

#: Latest rows of a cell that are remembered, and how many of them may be of one client.
BACK: Final = 64
PER_CLIENT: Final = 4
#: Links of one row.
_MOST_LINKS: Final = 4
#: So many rows that are not remembered any more may still be there, and as many as are remembered.
_SPARE: Final = 1000
#: Room is given back where it is for more than so many times the rows.
_MOST_ROOM: Final = 4
#: The row before one that is not remembered any more.
_GONE: Final = -2

#: An entry, a number for its client, and the place of the row before it in its cell.
ROW: Final = np.dtype([*((name, ENTRY[name]) for name in ENTRY.names or ()), ("who", "<i8"), ("older", "<i4")])


class BandMemory:
    """The rows of a cell are a chain from the newest to the oldest, so that what a row costs does not depend on how
    many there are. Whoever floods a cell pushes out its own rows first. Only newer rows push a row out: what is left is
    the same if rows that have expired were never there.
    """

    def __init__(self) -> None:
        self._rows = np.empty(0, dtype=ROW)
        self._clients, self._events = TextPool(), TextPool()
        self._begin = self._end = 0
        #: Of each window the newest event time, and where its rows end.
        self._windows: deque[tuple[float, int]] = deque()
        #: By cell the place of its newest row; rows in it are from there on.
        self._table = np.full(2, -1, dtype=np.int32)
        self._entered_from = 0

    def __len__(self) -> int:
        return int(np.count_nonzero(self._rows["older"][self._begin : self._end] != _GONE))

    def meet(self, new: Entries, reach: Reach, unit: float) -> tuple[list[Link], BoolArray]:
        """Who of the new rows (``ordered``) links to whom; and which are no copies: these are remembered.

        Windows must come one after another. ``unit``: of ``reach``.
        """
        self._reserve(len(new))
        rows = np.empty(len(new), dtype=ROW)
        for name in ENTRY.names or ():
            rows[name] = new.rows[name]
        rows["who"], rows["older"] = new.clients.identities(), -1
        silent = np.zeros(len(new), dtype=np.bool_)
        pairs, squares = np.empty((len(new) * _MOST_LINKS, 2), np.int64), np.empty(len(new) * _MOST_LINKS, np.int64)
        memory = self._rows, self._begin, self._end, self._table
        bounds = _MOST_LINKS, PER_CLIENT, BACK, _GONE
        n = meet(rows, np.ascontiguousarray(new.rows["z"]), *memory, *reach, *bounds, silent, pairs, squares)
        loud = new.take(~silent) if silent.any() else new
        self._end += len(loud)
        self._windows.append((float(loud.rows["ts"].max(initial=-np.inf)), self._end))
        self._clients.append(loud.clients)
        self._events.append(loud.events)
        links = [
            self._link(later, earlier, float(square) ** 0.5 * unit)
            for (later, earlier), square in zip(pairs[:n].tolist(), squares[:n].tolist(), strict=True)
        ]
        return links, ~silent

    def remember(self, loud: Entries) -> None:
        """Those of a window that ``meet`` said are no copies, once more."""
        self.meet(loud, Reach(0, 0), 1.0)

    def forget(self, before_ts: float) -> None:
        """Drop the windows that were over by then."""
        while self._windows and self._windows[0][0] < before_ts:
            self._begin = self._windows.popleft()[1]

    def _pack(self) -> None:
        """Let go of what is not remembered."""
        kept = np.empty(self._end - self._begin, dtype=np.int64)
        kept = kept[: pack(self._rows, self._begin, self._end, _GONE, kept)]
        if len(self._rows) > _MOST_ROOM * (len(kept) + _SPARE):
            self._rows = self._rows[: len(kept)].copy()
        self._clients.keep(kept)
        self._events.keep(kept)
        self._windows = deque((ts, int(np.searchsorted(kept, end))) for ts, end in self._windows)
        self._begin, self._end = 0, len(kept)

    def _reserve(self, n: int) -> None:
        if packed := self._end > 2 * len(self) + _SPARE or self._begin == self._end > 0:
            self._pack()
        self._rows = grown(self._rows, self._end + n, used=self._end)
        if packed or 2 * (self._end - self._entered_from + n) > len(self._table):
            self._enter(n)

    def _enter(self, more: int) -> None:
        """All rows into a new table, which has room for ``more``."""
        self._table = np.full(1 << (3 * (self._end - self._begin + more) + 1).bit_length(), -1, dtype=np.int32)
        index(self._rows, self._begin, self._end, self._table)
        self._entered_from = self._begin

    def _link(self, i: int, j: int, distance: float) -> Link:
        later: Any = self._rows[i]
        earlier: Any = self._rows[j]
        return Link(
            self._clients[i],
            self._events[i],
            float(later["ts"]),
            int(later["kept"]),
            self._clients[j],
            self._events[j],
            float(earlier["ts"]),
            int(earlier["kept"]),
            float(f"{distance:.6g}"),
            bool(later["label"] != earlier["label"]),
        )
