"""What one partition collects to be compared across clients: fingerprints of clean rows, by model and window."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np

from detectors.band_entries import Entries, PackedEntries, encode
from detectors.band_spread import row_kind
from detectors.batch import EventBatch, FloatArray
from detectors.fingerprints import Fingerprints
from monitor.band_rows import NewRows, compared, gathered
from monitor.shares import Part, Progress, horizon
from monitor.windows import WindowKey, WindowPlan

#: Rows of one message.
_PART_ROWS: Final = 15_000


@dataclass(slots=True)
class _Open:
    """One window of one model: rows that came; pieces of them that are saved, and those that are not yet."""

    rows: int = 0
    saved: list[Entries] = field(default_factory=list)
    new: list[NewRows] = field(default_factory=list)

    def all(self) -> list[Entries]:
        return [*self.saved, gathered(self.new)] if self.new else self.saved


class _Piece(msgspec.Struct, array_like=True):
    """A piece as it is saved, with the baseline it was made with, and the rows of its window so far."""

    baseline: str
    rows: int
    piece: PackedEntries


@dataclass(frozen=True, slots=True, eq=False)
class BandSlot:
    """All rows of one model in one window of one partition that are to be compared (``row_kind``)."""

    partition: int
    index: int
    model: str
    rows: int
    entries: Entries

    def parts(self, lanes: int) -> Iterator[tuple[int, Part]]:
        """By lane of the bands topic: each cell has its home, and a row goes once to each home of its cells; the number
        of rows goes to the model's."""
        homes = (self.entries.rows["cells"].astype(np.uint64) >> np.uint64(1)) % np.uint64(lanes)
        counted = zlib.crc32(self.model.encode("utf-8", "surrogatepass")) % lanes
        for lane in range(lanes):
            bands = np.packbits(homes == lane, axis=1, bitorder="little")[:, 0]
            mine = np.flatnonzero(bands)
            rows = self.rows if lane == counted else 0
            for number, begin in enumerate(range(0, max(len(mine), bool(rows)), _PART_ROWS)):
                some = mine[begin : begin + _PART_ROWS]
                entries = self.entries.take(some)
                entries.rows["bands"] = bands[some]
                part = Part(self.partition, self.index, self.model, number, 0 if number else rows, encode(entries))
                yield lane, part


class PartitionBands:
    """Of each client and window at most ``QUOTA`` distinct rows are compared, drawn by a keyed hash of their bytes: who
    floods does not choose which. The anonymous client, who is many people, is left out.
    """

    def __init__(self, plan: WindowPlan, prints: Mapping[str, Fingerprints], partition: int) -> None:
        self._plan = plan
        self._prints = prints
        self._partition = partition
        self._open: dict[WindowKey, _Open] = {}
        self._gone: list[str] = []
        self._told: tuple[int, bool] | None = None

    def absorb(self, batch: EventBatch, watermarks: FloatArray, weight: int = 1) -> None:
        """Add clean rows of one model, in the partition's order; late ones are left out (see ``PartitionWindows``).

        Args:
            watermarks: newest event time in the partition up to each row, ``(n,)``. weight: rows each stands for.
        """
        prints = self._prints.get(batch.model)
        if prints is None or not len(batch):
            return
        index, late = self._plan.places(batch.ts, watermarks)
        for w in np.unique(index[~late]).tolist():
            self._add((w, batch.model), batch.take(~late & (index == w)), prints, weight)

    def announce(self, watermark: float, *, idle: bool = False) -> list[BandSlot | Progress]:
        """Windows that are over since the last call; then how far the time has come, as in ``monitor.shares``."""
        now = (horizon(self._plan, watermark), idle)
        due = sorted(key for key in self._open if self._plan.passed(key[0], watermark))
        slots = [self._slot(key, self._close(key)) for key in due]
        if idle and now != self._told:
            slots += [self._slot(key, self._open[key]) for key in sorted(self._open)]
        if now == self._told:
            return [*slots]
        self._told = now
        return [*slots, Progress(self._partition, *now)]

    def delta(self) -> dict[str, bytes | None]:
        """Rows that came since the last call, as bytes; None for those of windows closed since."""
        changes: dict[str, bytes | None] = dict.fromkeys(self._gone)
        self._gone = []
        for (index, model), window in self._open.items():
            if window.new:
                piece = gathered(window.new)
                stored = _Piece(self._plan.baseline, window.rows, piece.packed())
                changes[f"{index}/{len(window.saved)}/{model}"] = msgspec.msgpack.encode(stored)
                window.saved.append(piece)
                window.new = []
        return changes

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Take back what ``delta`` gave. Raises ValueError if it is damaged."""
        by_place = sorted((*_place(name), blob) for name, blob in state.items())
        for index, number, model, blob in by_place:
            piece = msgspec.msgpack.decode(blob, type=_Piece)
            if piece.baseline != self._plan.baseline or model not in self._prints:
                self._gone.append(f"{index}/{number}/{model}")
                continue
            window = self._open.setdefault((index, model), _Open())
            window.saved.append(Entries.unpack(piece.piece, row_kind(self._prints[model].bands)))
            window.rows = piece.rows

    def _add(self, key: WindowKey, rows: EventBatch, prints: Fingerprints, weight: int) -> None:
        window = self._open.setdefault(key, _Open())
        window.rows += len(rows) * weight
        window.new.append(NewRows.of(rows, prints.of(rows.x)))

    def _close(self, key: WindowKey) -> _Open:
        window = self._open.pop(key)
        index, model = key
        self._gone += [f"{index}/{number}/{model}" for number in range(len(window.saved))]
        return window

    def _slot(self, key: WindowKey, window: _Open) -> BandSlot:
        return BandSlot(self._partition, key[0], key[1], window.rows, compared(window.all()))


def _place(name: str) -> tuple[int, int, str]:
    index, number, model = name.split("/", 2)
    return int(index), int(number), model
