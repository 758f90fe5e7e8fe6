"""Streams that are each in time order become one. Pure: the time of arrival is passed in."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class TimeMerge(Generic[T]):
    """Gives items out smallest ``ts`` first, as far as what has arrived allows; each source's own order is kept.

    An item waits until every other source has one too, or has been silent for ``hold_s``: after that a source no longer
    holds the others up, and what it brings later comes late.

    Args:
        sources: names of the streams.
        hold_s: seconds of silence (arrival time) after which a source is not waited for.
        capacity: queued items above which a source is ``full``.
    """

    def __init__(self, sources: Iterable[int], hold_s: float, capacity: int) -> None:
        self._queues: dict[int, deque[tuple[float, T]]] = {source: deque() for source in sources}
        self._heard_s: dict[int, float] = {}
        self._hold_s = hold_s
        self._capacity = capacity

    def add(self, source: int, ts: float, item: T) -> None:
        """Queue an item behind those of its source."""
        self._queues[source].append((ts, item))

    def heard(self, source: int, now: float) -> None:
        """The source was alive at ``now``, whether or not it brought an item."""
        self._heard_s[source] = now

    def full(self) -> set[int]:
        """Sources that should not be read from until their items have gone out."""
        return {source for source, queue in self._queues.items() if len(queue) >= self._capacity}

    def ready(self, now: float) -> Iterator[T]:
        """Items whose turn has come."""
        while True:
            for source, queue in self._queues.items():
                if not queue and now - self._heard_s.setdefault(source, now) < self._hold_s:
                    return
            first = self._first()
            if first is None:
                return
            yield self._queues[first].popleft()[1]

    def rest(self) -> Iterator[T]:
        """All that is left, in order, waiting for nobody."""
        while (first := self._first()) is not None:
            yield self._queues[first].popleft()[1]

    def _first(self) -> int | None:
        heads = [(queue[0][0], source) for source, queue in self._queues.items() if queue]
        return min(heads)[1] if heads else None
