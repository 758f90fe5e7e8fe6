"""Windows of the models: the partitions' shares added up, closed when every partition's time has passed them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec

from detectors.contract import Summary, merge
from monitor.horizons import Horizons
from monitor.shares import Message, Progress, Share
from monitor.window_state import OpenWindow, decode
from monitor.windows import ClosedWindow, WindowPlan, first_versions

_PROGRESS = "progress"
_SHARE = "share"

#: (index, model, partition).
ShareKey = tuple[int, str, int]


class _Known(Horizons, array_like=True):
    """``counted``: rows of shares that went into a closed window before their partition had passed it."""

    late_rows: int = 0
    counted: list[tuple[int, str, int, int]] = msgspec.field(default_factory=list)


class WindowMerger:
    """Takes messages in any interleaving of the partitions; closes windows by end, then by model.

    A message that comes twice changes nothing. Windows are the same however many partitions there are and whoever
    sent first, as long as no partition is left out as idle while it still has rows.
    """

    def __init__(self, plan: WindowPlan, partitions: int) -> None:
        """``partitions`` of the topic that windows are counted over: all of them must have spoken."""
        self._plan = plan
        self._partitions = partitions
        self._shares: dict[ShareKey, Share] = {}
        self._known = _Known()
        self._counted: dict[ShareKey, int] = {}
        self._changed: set[ShareKey] = set()
        self._moved = False

    @property
    def late_rows(self) -> int:
        """Rows of partitions that were left out as idle and came back when their windows had been closed."""
        return self._known.late_rows

    @property
    def closed(self) -> int:
        """Windows with a lower index are closed; ``NEVER`` before the first."""
        return self._known.closed

    def take(self, message: Message) -> list[ClosedWindow]:
        """The windows that can be closed now."""
        if isinstance(message, Share):
            self._share(message)
            return []
        return self._progress(message)

    def delta(self) -> dict[str, bytes | None]:
        """State that changed since the last call; None means gone."""
        changes: dict[str, bytes | None] = {}
        for key in sorted(self._changed):
            share = self._shares.get(key)
            name = f"{_SHARE}/{key[0]}/{key[2]}/{key[1]}"
            changes[name] = None if share is None else msgspec.msgpack.encode(share)
        if self._moved:
            self._known.counted = [(*key, rows) for key, rows in sorted(self._counted.items())]
            changes[_PROGRESS] = msgspec.msgpack.encode(self._known)
        self._changed, self._moved = set(), False
        return changes

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Take back what ``delta`` gave; other keys are left alone."""
        for name, blob in state.items():
            if name == _PROGRESS:
                self._known = msgspec.msgpack.decode(blob, type=_Known)
                self._counted = {(i, model, p): rows for i, model, p, rows in self._known.counted}
            elif name.startswith(f"{_SHARE}/"):
                share = msgspec.msgpack.decode(blob, type=Share)
                self._shares[share.index, share.model, share.partition] = share

    def _share(self, share: Share) -> None:
        key = (share.index, share.model, share.partition)
        if share.index < self._known.of(share.partition):
            return  # sent again: the partition had been done with it
        if share.index < self._known.closed:
            self._known.late_rows += max(share.rows - self._counted.get(key, 0), 0)
            self._counted[key] = share.rows
            self._moved = True
            return
        self._shares[key] = share
        self._changed.add(key)

    def _progress(self, message: Progress) -> list[ClosedWindow]:
        known, partition = self._known, message.partition
        known.reach(partition, message.horizon, idle=message.idle, sources=self._partitions)
        self._moved = True
        for key in [k for k in self._counted if k[2] == partition and k[0] < known.of(partition)]:
            del self._counted[key]
        due: dict[tuple[int, str], list[Share]] = {}
        for key in sorted(k for k in self._shares if k[0] < known.closed):
            due.setdefault(key[:2], []).append(self._shares.pop(key))
            self._changed.add(key)
            if key[0] >= known.of(key[2]):
                self._counted[key] = due[key[:2]][-1].rows
        return [self._closed(index, model, shares) for (index, model), shares in due.items()]

    def _closed(self, index: int, model: str, shares: list[Share]) -> ClosedWindow:
        decoded = (decode(share.window, self._plan.baseline) for share in shares)
        parts: list[OpenWindow] = [part for part in decoded if part is not None]
        summaries: dict[str, Summary] = {}
        versions: Counter[str] = Counter()
        for part in parts:
            versions += Counter(part.versions)
            for name, summary in part.summaries.items():
                known = summaries.get(name)
                summaries[name] = summary if known is None else merge(known, summary, self._plan.sample_rows)
        common = max(sorted(first_versions(versions)), key=lambda name: versions[name], default="")
        end_ts = self._plan.end_ts(index)
        return ClosedWindow(
            model=model,
            start_ts=index * self._plan.size_s,
            end_ts=end_ts,
            rows=sum(p.rows for p in parts),
            version=common,
            summaries=summaries,
            level=max((p.level for p in parts), default=0),
        )
