"""Pieces of windows from several sources, handed on together when every source has passed the window."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from monitor.horizons import Horizons
from monitor.shares import Part

_PROGRESS = "progress"
_PART = "part"

#: (index, model, source, number).
_Key = tuple[int, str, int, int]


class SlotMerger:
    """Takes pieces in any interleaving of the sources. A piece that comes twice changes nothing; one that comes when
    its window was handed on, from a source that had been idle, is left out.
    """

    def __init__(self, sources: int) -> None:
        """``sources``: all of them must have spoken."""
        self._sources = sources
        self._parts: dict[_Key, Part] = {}
        self._horizons = Horizons()
        self._changed: set[_Key] = set()
        self._moved = False

    @property
    def closed(self) -> int:
        """Windows with a lower index have been handed on; ``NEVER`` before the first."""
        return self._horizons.closed

    def add(self, part: Part) -> None:
        if part.index < max(self._horizons.of(part.source), self._horizons.closed):
            return
        key = (part.index, part.model, part.source, part.number)
        self._parts[key] = part
        self._changed.add(key)

    def reach(self, source: int, horizon: int, *, idle: bool = False) -> list[tuple[int, str, list[Part]]]:
        """The source adds nothing more below ``horizon``: windows that are over now, by index and model, with their
        pieces by source and number. ``idle``: nobody waits for it until it speaks again."""
        self._horizons.reach(source, horizon, idle=idle, sources=self._sources)
        self._moved = True
        due: dict[tuple[int, str], list[Part]] = {}
        for key in sorted(k for k in self._parts if k[0] < self._horizons.closed):
            due.setdefault(key[:2], []).append(self._parts.pop(key))
            self._changed.add(key)
        return [(index, model, parts) for (index, model), parts in due.items()]

    def delta(self) -> dict[str, bytes | None]:
        """State that changed since the last call; None means gone."""
        changes: dict[str, bytes | None] = {}
        for key in sorted(self._changed):
            part = self._parts.get(key)
            name = f"{_PART}/{key[0]}/{key[2]}/{key[3]}/{key[1]}"
            changes[name] = None if part is None else msgspec.msgpack.encode(part)
        if self._moved:
            changes[_PROGRESS] = msgspec.msgpack.encode(self._horizons)
        self._changed, self._moved = set(), False
        return changes

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Take back what ``delta`` gave; other keys are left alone."""
        for name, blob in state.items():
            if name == _PROGRESS:
                self._horizons = msgspec.msgpack.decode(blob, type=Horizons)
            elif name.startswith(f"{_PART}/"):
                part = msgspec.msgpack.decode(blob, type=Part)
                self._parts[part.index, part.model, part.source, part.number] = part
