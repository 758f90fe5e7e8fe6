"""Passes records of a topic that is not keyed by client on to one that is; every client then has one partition."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

import faust

from monitor.codec.limits import Limits
from monitor.codec.route import routes
from monitor.codec.tick import KIND_HEADER
from monitor.intake import SourceRecord
from monitor.origins import origin_header
from monitor.reader import Batch

_Headers = list[tuple[str, bytes]]


class Rekey:
    """Reads batches of the source; acknowledges them once all that came of them has arrived. Keeps no state.

    A tick goes to every partition. What cannot be decoded goes on as it is, to become a dead letter where it is judged.
    """

    def __init__(self, app: faust.App, target: str, partitions: int, limits: Limits) -> None:
        self._target: Any = app.topic(target, key_serializer="raw", value_serializer="raw")
        self._partitions = partitions
        self._limits = limits

    async def run(self, batches: AsyncIterator[Batch]) -> None:
        async for batch in batches:
            under_way: list[Awaitable[object]] = []
            for record in batch.records:
                for part, (key, value, headers, partition) in enumerate(self._routes(record)):
                    origin = origin_header(batch.tp.partition, record.offset, part)
                    under_way.append(
                        await self._target.send(key=key, value=value, partition=partition, headers=[*headers, origin])
                    )
            await asyncio.gather(*under_way)
            batch.ack()

    def _routes(self, record: SourceRecord) -> Iterator[tuple[bytes | None, bytes, _Headers, int | None]]:
        headers = list(record.headers)
        if any(name == KIND_HEADER for name, _ in headers):
            for partition in range(self._partitions):
                yield None, record.value or b"", headers, partition
            return
        for key, value in routes(record.value or b"", self._limits):
            yield key, value, headers, None
