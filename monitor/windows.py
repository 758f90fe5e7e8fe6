"""Event-time tumbling windows per model: what one partition counts of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import Final

import msgspec
import numpy as np

from detectors.batch import BoolArray, EventBatch, FloatArray, IntArray
from detectors.contract import Summary, WindowDetector, merge
from detectors.quota import window_index
from monitor.overload import PLANS, Plan
from monitor.window_state import OpenWindow, decode, encode

#: The horizon of a partition that has seen no event yet.
NEVER: Final = -(1 << 62)
#: Version names a window counts by.
MAX_VERSIONS = 16
_LATE = "late"

#: (index, model): window ``index`` spans [index * size_s, (index + 1) * size_s).
WindowKey = tuple[int, str]


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """What windows are made of; the same for every partition.

    Attributes:
        detectors: by model and detector name.
        size_s: length of a window, seconds of event time.
        grace_s: a window closes when the watermark is this far past its end.
        sample_rows: rows a summary's sample keeps.
        quotas: rows of one client per window and model (``detectors.quota``); a model without has no limit.
        baseline: checksum of the baseline; open windows counted with another one are dropped on restore.
    """

    detectors: Mapping[str, Mapping[str, WindowDetector]]
    size_s: float
    grace_s: float
    sample_rows: int
    quotas: Mapping[str, int]
    baseline: str = ""

    def end_ts(self, index: int) -> float:
        return (index + 1) * self.size_s

    def closed_ts(self, closed: int) -> float:
        """Event time up to which all is closed if windows below ``closed`` are; 0 before the first."""
        return self.end_ts(closed - 1) if closed > NEVER else 0.0

    def places(self, ts: FloatArray, watermarks: FloatArray) -> tuple[IntArray, BoolArray]:
        """The window of each row, and whether it was over by ``watermarks``, the newest time up to it; ``(n,)``."""
        index = window_index(ts, self.size_s)
        return index, (index + 1) * self.size_s + self.grace_s <= watermarks

    def passed(self, index: int, watermark: float) -> bool:
        """Whether a window is over for those who know the watermark."""
        return self.end_ts(index) + self.grace_s <= watermark


@dataclass(frozen=True, slots=True)
class ClosedWindow:
    """A window of one model, all partitions added up.

    Attributes:
        rows: clean rows that came, also those beyond a client's quota.
        version: the model version most rows came from ("" if unknown).
        summaries: by detector name.
        level: the highest overload level at which any of it was counted.
    """

    model: str
    start_ts: float
    end_ts: float
    rows: int
    version: str
    summaries: Mapping[str, Summary]
    level: int = 0


class PartitionWindows:
    """One partition's share of the open windows. Only clean rows may enter: nothing is learned from what was flagged.

    Which rows are late is decided by the partition's own order of events, never by when windows happened to be closed,
    so cutting the stream into batches elsewhere, or reading partitions in another order, changes nothing.
    """

    def __init__(self, plan: WindowPlan) -> None:
        self._plan = plan
        self._open: dict[WindowKey, OpenWindow] = {}
        self._changed: set[WindowKey] = set()
        self._late_rows = 0
        self._late_changed = False

    @property
    def late_rows(self) -> int:
        """Rows whose window was over, by the partition's own time, when they came; they are in no window."""
        return self._late_rows

    def absorb(self, batch: EventBatch, watermarks: FloatArray, plan: Plan = PLANS[0]) -> None:
        """Add clean rows of one model, in the partition's order.

        Args:
            batch: the rows.
            watermarks: newest event time (or tick) in the partition up to each row, itself included, ``(n,)``.
            plan: how closely is looked: rows are a fair sample of one in ``plan.windows_one_in``, and each counts for
                so many, in the quota too.
        """
        if not self._plan.detectors.get(batch.model):
            return
        index, late = self._plan.places(batch.ts, watermarks)
        if late.any():
            self._late_rows += int(np.count_nonzero(late)) * plan.windows_one_in
            self._late_changed = True
        for w in np.unique(index[~late]).tolist():
            self._add((w, batch.model), batch.take(~late & (index == w)), plan)

    def passed(self, watermark: float) -> list[tuple[WindowKey, OpenWindow]]:
        """Take out the windows that are over for this partition, in order."""
        due = sorted(key for key in self._open if self._plan.passed(key[0], watermark))
        self._changed.update(due)
        return [(key, self._open.pop(key)) for key in due]

    def open(self) -> list[tuple[WindowKey, OpenWindow]]:
        """The windows that may still grow, in order; they stay where they are."""
        return sorted(self._open.items(), key=lambda item: item[0])

    def delta(self) -> dict[str, bytes | None]:
        """Windows that changed since the last call, as bytes; None for those closed since."""
        changes: dict[str, bytes | None] = {}
        for key in sorted(self._changed):
            window = self._open.get(key)
            changes[f"{key[0]}/{key[1]}"] = None if window is None else encode(window, self._plan.baseline)
        if self._late_changed:
            changes[_LATE] = msgspec.msgpack.encode(self._late_rows)
        self._changed, self._late_changed = set(), False
        return changes

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Take back what ``delta`` gave. Raises ValueError if it is damaged."""
        for name, blob in state.items():
            if name == _LATE:
                self._late_rows = msgspec.msgpack.decode(blob, type=int)
                continue
            index, _, model = name.partition("/")
            window = decode(blob, self._plan.baseline)
            if window is not None:
                self._open[int(index), model] = window

    def _add(self, key: WindowKey, rows: EventBatch, plan: Plan) -> None:
        window, weight = self._open.setdefault(key, OpenWindow()), plan.windows_one_in
        window.level = max(window.level, plan.level)
        self._changed.add(key)
        window.rows += len(rows) * weight
        versions = Counter(window.versions)
        for version, n in Counter(rows.versions).items():
            versions[version] += n * weight
        window.versions = first_versions(versions)
        quota = self._plan.quotas.get(rows.model)
        if quota is not None:
            keep = _under_quota(rows.clients, window.clients, quota, weight)
            rows = rows if keep.all() else rows.take(keep)
        if not len(rows):
            return
        for name, detector in self._plan.detectors[rows.model].items():
            if detector.costly and not plan.window_checks:
                continue
            fresh = detector.summarise(rows).times(weight)
            summary = window.summaries.get(name)
            if summary is None:
                summary = Summary(0, {k: np.zeros_like(v) for k, v in fresh.counts.items()})
            window.summaries[name] = merge(summary, fresh, self._plan.sample_rows)


def _under_quota(clients: tuple[str, ...], taken: dict[str, int], quota: int, weight: int) -> BoolArray:
    """Rows of clients that have not had their share of the window yet; counts them in ``taken``."""
    counted = Counter(clients)
    before = list(map(taken.get, counted, repeat(0)))
    reached = [have + rows * weight for have, rows in zip(before, counted.values(), strict=True)]
    taken.update(zip(counted, reached, strict=True))
    keep = np.ones(len(clients), dtype=np.bool_)
    if max(reached, default=0) >= quota + weight:  # seldom; a row begins where there is room, however little
        left: dict[str, int] = {}
        for client, have, now in zip(counted, before, reached, strict=True):
            if now >= quota + weight:
                left[client] = max(-((have - quota) // weight), 0)
                taken[client] = have + left[client] * weight
        for i, client in enumerate(clients):
            if client in left:
                keep[i] = left[client] > 0
                left[client] -= 1
    return keep


def first_versions(versions: Counter[str]) -> dict[str, int]:
    """The alphabetically first names: each stays in every partial sum it is part of, so its count is exact."""
    return {name: versions[name] for name in sorted(versions)[:MAX_VERSIONS]}
