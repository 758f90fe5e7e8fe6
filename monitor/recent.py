"""What was seen lately, by event time. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Recent(Generic[T]):
    """Remembers things for ``span_s`` of event time after they were last seen, at most twice as long.

    More than ``limit`` things in one span end it early, so there are never more than twice as many, and one batch.
    """

    def __init__(self, span_s: float, limit: int) -> None:
        self._span_s = span_s
        self._limit = limit
        self._now: set[T] = set()
        self._before: set[T] = set()
        self._until_ts = float("-inf")

    def __len__(self) -> int:
        return len(self._now | self._before)

    def unseen(self, things: Iterable[T], ts: float) -> set[T]:
        """Those that are not remembered at event time ``ts``; from now on all are."""
        if ts >= self._until_ts + self._span_s:
            self._now, self._before = set(), set()
            self._until_ts = ts + self._span_s
        elif ts >= self._until_ts or len(self._now) > self._limit:
            self._now, self._before = set(), self._now
            self._until_ts += self._span_s if ts >= self._until_ts else 0.0
        seen = set(things)
        new = seen - self._now - self._before
        self._now |= seen
        return new
