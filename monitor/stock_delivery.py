"""Faust's own delivery in the form of ``monitor.delivery``: slower, for those who want nothing but what Faust ships."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from faust.types import TP, EventT, StreamT

from monitor.intake import Record


@dataclass(frozen=True, slots=True)
class StockBatch:
    """Events of one partition that Faust handed over one after the other."""

    tp: TP
    records: list[Record]
    generation: int | None
    events: Sequence[EventT[bytes]]

    def ack(self) -> None:
        for event in self.events:
            event.ack()


async def stock_batches(stream: StreamT[bytes], most: int, within_s: float) -> AsyncIterator[StockBatch]:
    """Up to ``most`` events at a time, by partition in their order; they are acknowledged by ``ack`` alone."""
    source: Any = stream  # the type that Faust gives it does not declare ``noack_take``, which yields events
    async for events in source.noack_take(most, within=within_s):
        homes: dict[tuple[TP, int | None], list[EventT[bytes]]] = {}
        for event in events:
            homes.setdefault((event.message.tp, event.message.generation_id), []).append(event)
        for (tp, generation), mine in homes.items():
            yield StockBatch(tp, [_record(event) for event in mine], generation, mine)


def _record(event: EventT[bytes]) -> Record:
    m = event.message
    headers = m.headers.items() if isinstance(m.headers, Mapping) else m.headers or ()
    return Record(m.topic, m.partition, m.offset, m.key, m.value, tuple(headers))
