"""What one partition tells the models of its accounts: who was active in a window, and who is suspected of what."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np

from detectors.batch import EventBatch, FloatArray
from detectors.head_count import NOBODY, Heads, added, hashed
from detectors.suspicion import Suspicion, strongest
from monitor.event import ANONYMOUS
from monitor.shares import Suspects, horizon
from monitor.windows import WindowKey, WindowPlan

#: Suspicions of one message.
_PART_SUSPICIONS: Final = 1000


class News(msgspec.Struct, array_like=True):
    """Of one window: the baseline that it was judged by, a sample of the active accounts, the suspicions."""

    baseline: str
    heads: bytes
    suspicions: list[Suspicion]

    @property
    def active(self) -> Heads:
        return np.frombuffer(self.heads, "<u8").astype(np.uint64)


@dataclass(slots=True)
class _Open:
    active: Heads = field(default_factory=lambda: NOBODY)
    held: dict[tuple[str, str], Suspicion] = field(default_factory=dict)

    def news(self, baseline: str) -> News:
        return News(baseline, self.active.astype("<u8").tobytes(), [s for _, s in sorted(self.held.items())])


class PartitionSuspects:
    """Of each account and detector the strongest suspicion of each window. The anonymous client, who is many people,
    is left out. How the stream is cut into batches shows nowhere.
    """

    def __init__(self, plan: WindowPlan, models: Container[str], partition: int) -> None:
        """``models``: those whose accounts are told of."""
        self._plan = plan
        self._models = models
        self._partition = partition
        self._open: dict[WindowKey, _Open] = {}
        self._changed: set[WindowKey] = set()
        self._told: tuple[int, bool] | None = None

    def absorb(self, batch: EventBatch, watermarks: FloatArray, raised: Iterable[tuple[int, Suspicion]]) -> None:
        """Add rows of one model, in the partition's order; late ones are left out (see ``PartitionWindows``).

        Args:
            watermarks: newest event time in the partition up to each row, ``(n,)``. raised: (row, suspicion).
        """
        if batch.model not in self._models or not len(batch):
            return
        index, late = self._plan.places(batch.ts, watermarks)
        accounts, nobody = (hashed(names, self._plan.baseline) for names in (batch.clients, [ANONYMOUS]))
        counted = ~late & (accounts != nobody)
        for w in np.unique(index[counted]).tolist():
            window = self._window((w, batch.model))
            window.active = added(window.active, accounts[counted & (index == w)])
        for row, suspicion in raised:
            if not late[row] and suspicion.client != ANONYMOUS:
                window = self._window((int(index[row]), batch.model))
                key = suspicion.client, suspicion.detector
                window.held |= strongest([*([window.held[key]] if key in window.held else []), suspicion])

    def announce(self, watermark: float, *, idle: bool = False) -> list[Suspects]:
        """Windows that are over since the last call; with ``idle`` all, as they stand. See ``monitor.shares``."""
        due = sorted(key for key in self._open if self._plan.passed(key[0], watermark))
        told = [part for key in due for part in self._parts(key, self._open.pop(key))]
        self._changed.update(due)
        now = (horizon(self._plan, watermark), idle)
        if idle and now != self._told:
            told += [part for key in sorted(self._open) for part in self._parts(key, self._open[key])]
        self._told = now
        return told

    def delta(self) -> dict[str, bytes | None]:
        """Windows that changed since the last call, as bytes; None for those told of since."""
        changes: dict[str, bytes | None] = {}
        for key in sorted(self._changed):
            window = self._open.get(key)
            news = None if window is None else msgspec.msgpack.encode(window.news(self._plan.baseline))
            changes[f"{key[0]}/{key[1]}"] = news
        self._changed = set()
        return changes

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Take back what ``delta`` gave; windows of another baseline are dropped. Raises ValueError if damaged."""
        for name, blob in state.items():
            index, _, model = name.partition("/")
            news, key = msgspec.msgpack.decode(blob, type=News), (int(index), model)
            if news.baseline == self._plan.baseline and model in self._models:
                self._open[key] = _Open(news.active, strongest(news.suspicions))
            else:
                self._changed.add(key)

    def _window(self, key: WindowKey) -> _Open:
        self._changed.add(key)
        return self._open.setdefault(key, _Open())

    def _parts(self, key: WindowKey, window: _Open) -> list[Suspects]:
        news = window.news(self._plan.baseline)
        parts = []
        for number, begin in enumerate(range(0, max(len(news.suspicions), 1), _PART_SUSPICIONS)):
            some = News(news.baseline, b"" if number else news.heads, news.suspicions[begin : begin + _PART_SUSPICIONS])
            parts.append(Suspects(self._partition, *key, number, msgspec.msgpack.encode(some)))
        return parts
