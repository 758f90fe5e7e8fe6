"""When each record of a recording is due, and when event time is announced in between. Pure: no clock, no broker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

TICK_EVERY_S: Final = 5.0
DISORDER_S: Final = 5.0
#: A recording with a hole of years must not become millions of ticks.
_TICKS_PER_GAP: Final = 1000


class Record(NamedTuple):
    """What is to be sent: ``ts`` event time (epoch seconds), ``key`` of the client, ``value`` as it stands on Kafka."""

    ts: float
    key: bytes
    value: bytes


class Tick(NamedTuple):
    """Due at event time ``due``; promises that no record older than ``ts`` follows in any partition."""

    due: float
    ts: float


def schedule(
    records: Iterable[Record], close_after_s: float, every_s: float = TICK_EVERY_S, disorder_s: float = DISORDER_S
) -> Iterator[Record | Tick]:
    """The records in their order, with a tick every ``every_s`` of event time and a last one that closes all windows.

    Args:
        records: in event-time order but for ``disorder_s``; a record later than that breaks a tick's promise, and may
            find its window closed.
        close_after_s: how far past the newest record the last tick goes, at least window size + grace.
        every_s: event time between ticks; longer across gaps of more than 1000 ticks.
        disorder_s: by how much each tick but the last stays behind event time.
    """
    newest = due = None
    for record in records:
        if newest is None or due is None:
            newest, due = record.ts, record.ts + every_s
        step_s = max(every_s, (record.ts - newest) / _TICKS_PER_GAP)
        while due <= record.ts:
            yield Tick(due, due - disorder_s)
            due += step_s
        newest = max(newest, record.ts)
        yield record
    if newest is not None:
        yield Tick(newest, newest + close_after_s)
