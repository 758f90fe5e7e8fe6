"""A run of one partition's records becomes events, ticks and dead letters, in order; Faust or a file feeds it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from monitor.codec import decode_records
from monitor.codec.limits import Limits
from monitor.codec.tick import decode_tick
from monitor.event import Event, Rejection


class SourceRecord(Protocol):
    """One record of a partition as a client library gives it; aiokafka's ``ConsumerRecord`` is one."""

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
    """One record as the broker has it. A dead letter's has no value: the bytes to keep may be a part of it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None = None
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
    events: Sequence[Event] = ()
    dead: list[DeadLetter] = field(default_factory=list)
    ticks: list[tuple[int, float]] = field(default_factory=list)


def take(
    topic: str,
    partition: int,
    records: Sequence[SourceRecord],
    next_offset: int,
    limits: Limits,
    now: float | None,
) -> Taken:
    """Decode a partition's records; those below ``next_offset``, which a checkpoint covers, are left out.

    So is a record that comes a second time. Where nothing is new, ``Taken.next_offset`` is the one that was given.
    """
    fresh: list[SourceRecord] = []
    promised: list[tuple[int, float]] = []
    dead: list[tuple[SourceRecord, bytes, Rejection]] = []
    for record in records:
        if record.offset < next_offset:
            continue
        next_offset = record.offset + 1
        if record.headers:
            try:
                tick_ts = decode_tick(record.value, record.headers, limits, now)
            except Rejection as rejection:
                dead.append((record, record.value or b"", rejection))
                continue
            if tick_ts is not None:
                promised.append((len(fresh), tick_ts))
                continue
        fresh.append(record)
    decoded = decode_records([record.value for record in fresh], limits, now)
    dead += [(fresh[i], raw, rejection) for i, rejection, raw in decoded.rejections]
    dead.sort(key=lambda letter: letter[0].offset)
    return Taken(
        topic,
        partition,
        next_offset,
        decoded.events,
        [
            DeadLetter(Record(topic, partition, record.offset, record.key, headers=record.headers), raw, rejection)
            for record, raw, rejection in dead
        ],
        [(bisect_left(decoded.sources, i), ts) for i, ts in promised],
    )
