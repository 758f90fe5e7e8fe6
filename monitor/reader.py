"""Reads one topic into its lanes: nothing twice, nothing left out, a checkpoint when one is due. Knows no Faust."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

import structlog

from monitor.intake import SourceRecord
from monitor.lanes import Lane, Lanes, Remembering

log = structlog.get_logger("vedette.reader")


class Home(Protocol):
    """A topic's partition."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...


class Batch(Protocol):
    """Records of one partition, in the order of their offsets."""

    @property
    def tp(self) -> Home: ...
    @property
    def records(self) -> Sequence[SourceRecord]: ...
    def ack(self) -> object: ...


_State = TypeVar("_State", bound=Remembering)

#: A lane that received nothing for so long, though the consumer has moved on, will not receive it any more.
_PATIENCE_S = 5.0
#: The event loop's turns between two batches: with fewer, a finding would wait for a batch at each of its steps from
#: publisher to producer to socket, and so would what is fetched on its way here, and checkpoints.
_TURNS = 8


class Reader(Generic[_State]):
    """Hands batches to ``handle(lane, batch)``, which must take in all records from ``lane.next_offset`` on.

    Args:
        seek: goes back to an offset of a partition.
    """

    def __init__(
        self,
        lanes: Lanes[_State],
        handle: Callable[[Lane[_State], Batch], Awaitable[None]],
        seek: Callable[[int, int], Awaitable[None]],
    ) -> None:
        self._lanes = lanes
        self._handle = handle
        self._seek = seek
        self._sought: dict[int, int] = {}

    def reassigned(self) -> None:
        """Partitions have changed hands: gaps seen before mean nothing any more."""
        self._sought.clear()

    async def run(self, batches: AsyncIterator[Batch]) -> None:
        async for batch in batches:
            lane = await self._lanes.get(batch.tp.partition)
            if lane is None or not await self._contiguous(lane, batch):
                continue
            await self._handle(lane, batch)
            await self._lanes.begin_checkpoint(lane)
            for _ in range(_TURNS):
                await asyncio.sleep(0)

    async def look_back(self, handed_out: Callable[[int], Awaitable[int | None]]) -> None:
        """Go back where the last records of a partition got lost on their way here: no later one shows the gap.

        ``handed_out``: the end of a partition if the consumer has moved there; None if it has not.
        """
        for lane in self._lanes.loaded():
            if not lane.quiet or time.monotonic() - lane.touched_s < _PATIENCE_S:
                continue
            end = await handed_out(lane.partition)
            if end is not None and lane.next_offset < end and self._lanes.owns(lane):
                await self._go_back(lane, end)

    async def _contiguous(self, lane: Lane[_State], batch: Batch) -> bool:
        """Go back where records seem to have been skipped.

        Faust can clear its buffers in a rebalance after the consumer has moved past them. Records beyond the next
        expected offset make us seek back once; if the same gap shows again it is real (compaction, transaction
        markers, retention) and is accepted. What was read before is skipped by ``handle``.
        """
        first = batch.records[0].offset
        return first <= lane.next_offset or not await self._go_back(lane, first)

    async def _go_back(self, lane: Lane[_State], found: int) -> bool:
        """False if the same gap has shown before."""
        expected = lane.next_offset
        if self._sought.get(lane.partition) == expected:
            return False
        self._sought[lane.partition] = expected
        lane.touched_s = time.monotonic()
        log.info("gap in offsets, reading again", scope=lane.scope, at=expected, found=found)
        await self._seek(lane.partition, expected)
        return True
