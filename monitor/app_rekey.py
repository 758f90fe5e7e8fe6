"""Passes records of a topic that is not keyed by client on to one that is; every client then has one partition."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import faust
import structlog

from monitor.app_events import is_too_large
from monitor.codec.limits import Limits
from monitor.codec.route import routes
from monitor.codec.tick import decode_tick
from monitor.event import Reason, Rejection
from monitor.intake import DeadLetter, Record, SourceRecord
from monitor.origins import HEADER, origin_header
from monitor.reader import Batch

log = structlog.get_logger("vedette.rekey")

_Headers = list[tuple[str, bytes]]


class Rekey:
    """Reads batches of the source; acknowledges them once all that came of them has arrived. Keeps no state.

    A tick goes to every partition. What cannot be decoded goes on as it is, to become a dead letter where it is judged;
    but for what is too large for the target, which is given to ``refuse`` (at least once).
    """

    def __init__(
        self,
        app: faust.App,
        target: str,
        partitions: int,
        limits: Limits,
        refuse: Callable[[DeadLetter], Awaitable[None]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = target
        self._target: Any = app.topic(target, key_serializer="raw", value_serializer="raw")
        self._partitions = partitions
        self._limits = limits
        self._refuse = refuse
        self._clock = clock

    async def run(self, batches: AsyncIterator[Batch]) -> None:
        async for batch in batches:
            sent: list[tuple[SourceRecord, bytes, asyncio.Future[object]]] = []
            for record in batch.records:
                for part, (key, value, headers, partition) in enumerate(self._routes(record)):
                    origin = origin_header(batch.tp.partition, record.offset, part)
                    arrival = await self._send(key, value, partition, [*headers, origin])
                    sent.append((record, value, arrival))
            await asyncio.gather(*(arrival for *_, arrival in sent), return_exceptions=True)
            for record, value, arrival in sent:
                error = arrival.exception()
                if error is not None:
                    await self._refused(batch, record, value, error)
            batch.ack()

    async def _send(
        self, key: bytes | None, value: bytes, partition: int | None, headers: _Headers
    ) -> asyncio.Future[object]:
        """On its way, after all that was sent before; or failed already."""
        try:
            arrival: Awaitable[object] = await self._target.send(
                key=key, value=value, partition=partition, headers=headers
            )
            return asyncio.ensure_future(arrival)
        except Exception as error:
            failed: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            return failed

    async def _refused(self, batch: Batch, record: SourceRecord, value: bytes, error: BaseException) -> None:
        if not is_too_large(error):
            raise error
        log.warning("record too large to be passed on", partition=batch.tp.partition, offset=record.offset)
        why = Rejection(Reason.TOO_LARGE, f"record: has {len(value)} bytes; too large for topic {self._name}")
        home = Record(batch.tp.topic, batch.tp.partition, record.offset, record.key)
        await self._refuse(DeadLetter(home, value, why))

    def _routes(self, record: SourceRecord) -> Iterator[tuple[bytes | None, bytes, _Headers, int | None]]:
        """Key, value, headers, and the partition where the key does not say it."""
        headers = [header for header in record.headers if header[0] != HEADER]
        try:
            tick_ts = decode_tick(record.value, headers, self._limits, self._clock())
        except Rejection:
            yield b"", record.value or b"", headers, None
            return
        if tick_ts is not None:
            for partition in range(self._partitions):
                yield None, record.value or b"", headers, partition
            return
        for key, value in routes(record.value or b"", self._limits):
            yield key, value, headers, None
