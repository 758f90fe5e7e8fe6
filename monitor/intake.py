"""Records of one partition become events, ticks and dead letters, in order; Faust or a file feeds it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from monitor.codec import decode_record
from monitor.codec.limits import Limits
from monitor.codec.tick import decode_tick
from monitor.event import Event, Rejection


class SourceRecord(Protocol):
    """What a consumer gives; aiokafka's records do."""

    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


@dataclass(frozen=True, slots=True)
class Record:
    """One record as the broker has it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass(slots=True)
class DeadLetter:
    """Bytes that are no event, why, and where they came from."""

    record: Record
    raw: bytes
    rejection: Rejection


@dataclass(slots=True)
class Taken:
    """What a run of one partition's records holds; ``next_offset`` covers all of them.

    ``ticks`` are (events of the run before it, event time), in order.
    """

    topic: str
    partition: int
    next_offset: int
    events: list[Event] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    ticks: list[tuple[int, float]] = field(default_factory=list)


def take(records: Iterable[Record], done: dict[tuple[str, int], int], limits: Limits, now: float | None) -> list[Taken]:
    """Group records by partition, skip those below the offset that a checkpoint covers, decode the rest.

    ``done`` maps (topic, partition) to the next offset to process.
    """
    taken: dict[tuple[str, int], Taken] = {}
    for record in records:
        home = (record.topic, record.partition)
        run = taken.get(home)
        if record.offset < (run.next_offset if run else done.get(home, 0)):
            continue
        if run is None:
            run = taken[home] = Taken(record.topic, record.partition, record.offset)
        run.next_offset = record.offset + 1
        _decode(record, run, limits, now)
    return list(taken.values())


def _decode(record: Record, run: Taken, limits: Limits, now: float | None) -> None:
    try:
        tick_ts = decode_tick(record.value, record.headers, limits, now)
    except Rejection as rejection:
        run.dead.append(DeadLetter(record, record.value or b"", rejection))
        return
    if tick_ts is not None:
        run.ticks.append((len(run.events), tick_ts))
        return
    decoded = decode_record(record.value, limits, now)
    run.events += decoded.events
    run.dead += [DeadLetter(record, raw, rejection) for rejection, raw in decoded.rejections]
