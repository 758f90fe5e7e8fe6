"""One partition of the bands: rows of all clients that share a cell meet here, and become links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
import numpy as np

from detectors.band_entries import Entries, Link, decode, encode, joined
from detectors.band_memory import BandMemory
from detectors.band_spread import row_kind, spread
from detectors.fingerprints import Fingerprints
from monitor.core import Core
from monitor.shares import AnyMessage, Part, Progress, Reached
from monitor.slot_merger import SlotMerger

_MEMORY: Final = "remembered"
#: Links of one message.
_PART_LINKS: Final = 5000


class BandWatch:
    """Compares the rows of each window with one another and with those of the windows before it."""

    def __init__(self, core: Core, state: Mapping[str, bytes], lane: int, partitions: int) -> None:
        """``lane``: its number; ``partitions``: of the topic that clients are spread over."""
        self._core = core
        self._lane = lane
        self._merger = SlotMerger(partitions)
        self._memory: dict[str, BandMemory] = {}
        self._sizes: dict[tuple[int, str], int] = {}
        self._changes: dict[str, bytes | None] = {}
        self._merger.restore(state)
        self._restore(state)

    @property
    def closed_ts(self) -> float:
        """Event time up to which rows have been compared; 0 before the first."""
        return self._core.window_plan.closed_ts(self._merger.closed)

    def take(self, messages: Iterable[AnyMessage]) -> list[AnyMessage]:
        """What partitions say, in the order of the topic; what the models are to be told."""
        told: list[AnyMessage] = []
        for message in messages:
            if isinstance(message, Part):
                self._merger.add(message)
            elif isinstance(message, Progress):
                before = self._merger.closed
                for index, model, parts in self._merger.reach(message.partition, message.horizon, idle=message.idle):
                    told += self._compare(index, model, parts)
                if self._merger.closed > before:
                    told.append(Reached(self._lane, self._merger.closed))
        return told

    def delta(self) -> dict[str, bytes | None]:
        """State that changed since the last call; None means gone."""
        changes, self._changes = self._merger.delta() | self._changes, {}
        return changes

    def _compare(self, index: int, model: str, parts: list[Part]) -> list[AnyMessage]:
        prints = self._core.fingerprints.get(model)
        if prints is None:
            return []
        self._forget(index, model)
        rows = sum(part.rows for part in parts)
        links = self._meet(index, model, prints, [part.data for part in parts])
        pieces = [links[i : i + _PART_LINKS] for i in range(0, len(links), _PART_LINKS)] or [[]]
        return [
            Part(self._lane, index, model, n, 0 if n else rows, msgspec.msgpack.encode(piece))
            for n, piece in enumerate(pieces)
            if piece or rows
        ]

    def _meet(self, index: int, model: str, prints: Fingerprints, sent: list[bytes]) -> list[Link]:
        """Links of a window's rows. Those that are no copies are saved: as they were sent, where none is a copy."""
        came = [(blob, rows) for blob in sent if (rows := _decoded(blob, row_kind(prints.bands))) is not None]
        if not came:
            return []
        new = spread(joined([rows for _, rows in came]))
        links, loud = self._memory.setdefault(model, BandMemory()).meet(new.entries, prints.reach(), prints.unit)
        ends = np.cumsum([len(rows) for _, rows in came])
        pieces = []
        for (blob, rows), bands in zip(came, np.split(new.bands(loud, int(ends[-1])), ends[:-1]), strict=True):
            as_sent = np.array_equal(rows.rows["bands"], bands)
            rows.rows["bands"] = bands
            if bands.any():
                pieces.append(blob if as_sent else encode(rows.take(bands > 0)))
        if pieces:
            self._sizes[index, model] = int(np.count_nonzero(loud))
            self._changes[_key(index, model)] = msgspec.msgpack.encode((self._core.window_plan.baseline, pieces))
        return links

    def _forget(self, index: int, model: str) -> None:
        """Windows older than the memory is long; and the oldest, if it holds too many rows."""
        groups, plan = self._core.settings.detection.groups, self._core.window_plan
        first = index - self._core.group_slots
        mine = sorted(i for i, m in self._sizes if m == model)
        total = sum(self._sizes[i, model] for i in mine)
        for old in mine:
            if old > first and total <= groups.max_rows:
                break
            total -= self._sizes.pop((old, model))
            self._changes[_key(old, model)] = None
            first = max(first, old)
        memory = self._memory.get(model)
        if memory is not None:
            memory.forget(plan.end_ts(first))

    def _restore(self, state: Mapping[str, bytes]) -> None:
        stored = []
        for name, blob in state.items():
            if name.startswith(f"{_MEMORY}/"):
                _, number, model = name.split("/", 2)
                stored.append((int(number), model, blob))
        for index, model, blob in sorted(stored):
            baseline, pieces = msgspec.msgpack.decode(blob, type=tuple[str, list[bytes]])
            if baseline != self._core.window_plan.baseline or model not in self._core.fingerprints:
                self._changes[_key(index, model)] = None
                continue
            kind = row_kind(self._core.fingerprints[model].bands)
            loud = spread(joined([decode(piece, kind) for piece in pieces])).entries
            self._sizes[index, model] = len(loud)
            self._memory.setdefault(model, BandMemory()).remember(loud)


def decode_links(data: bytes) -> list[Link]:
    """Raises msgspec.DecodeError."""
    return msgspec.msgpack.decode(data, type=list[Link])


def _key(index: int, model: str) -> str:
    return f"{_MEMORY}/{index}/{model}"


def _decoded(data: bytes, kind: np.dtype[Any]) -> Entries | None:
    """None for what no partition can have sent: one damaged record must not end the stream."""
    try:
        return decode(data, kind)
    except ValueError:
        return None
