"""Findings on their way to the findings topic: each at least once, in the order they were made."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, Protocol

from detectors.finding import Finding
from monitor.writer import Writer

#: Sent together.
_MOST: Final = 500
#: Batches that are sent before the first of them has arrived.
_UNDER_WAY: Final = 16
#: Findings that their worker has not published in this time are published by the responder.
_OVERDUE_S: Final = 5.0

#: Hands findings to the producer, in order; what it returns is done when all have arrived.
Send = Callable[[Sequence[Finding]], Awaitable[Awaitable[object]]]


class Unpublished(Protocol):
    """The store, as far as the publisher knows it."""

    def unpublished(self, noted_before: float = ..., limit: int = ...) -> list[Finding]: ...

    def published(self, ids: Iterable[str]) -> None: ...


class Publisher:
    """Publishes what its worker found, and what another one left behind. Findings do not wait for those before them to
    arrive: a busy worker looks at the broker's answers between two batches of requests only."""

    def __init__(self, store: Unpublished, writer: Writer, clock: Callable[[], float]) -> None:
        """``writer``: notes in the ``store`` what has arrived."""
        self._store = store
        self._writer = writer
        self._clock = clock
        self._found: deque[Finding] = deque()
        self._left_behind = False
        self._under_way = 0
        self._due = asyncio.Event()
        self._stopping = False

    def found(self, findings: Iterable[Finding]) -> None:
        """They are written down: publish them."""
        self._found += findings
        self._due.set()

    async def look(self) -> None:
        """Only for the responder: publish what another worker has found and did not publish in time, if anything."""
        overdue = await asyncio.to_thread(self._store.unpublished, self._clock() - _OVERDUE_S, limit=1)
        self._left_behind = bool(overdue)
        if self._left_behind:
            self._due.set()

    async def run(self, send: Send) -> None:
        """Until ``stop``, and until what was sent has arrived. Raises what a send raises."""
        try:
            async with asyncio.TaskGroup() as arriving:
                while not self._stopping:
                    self._due.clear()
                    while batch := self._batch():
                        self._under_way += 1
                        arriving.create_task(self._arrived(batch, await send(batch)))
                    await self._due.wait()
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed

    def stop(self) -> None:
        """What is not sent yet is left for the next start."""
        self._stopping = True
        self._due.set()

    def _batch(self) -> list[Finding]:
        if self._under_way == _UNDER_WAY:
            return []
        mine = [self._found.popleft() for _ in range(min(len(self._found), _MOST))]
        if mine or self._under_way or not self._left_behind:
            return mine
        self._left_behind = False
        return self._store.unpublished(self._clock() - _OVERDUE_S, _MOST)

    async def _arrived(self, batch: Sequence[Finding], arrival: Awaitable[object]) -> None:
        await arrival
        await self._writer.put(self._store.published, [f.id for f in batch])
        self._under_way -= 1
        self._due.set()
