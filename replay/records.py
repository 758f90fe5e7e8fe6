"""A recording as Kafka records: each line as it stands, keyed by its client, at its event time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from monitor.codec import decode_record, encode_compact
from monitor.codec.limits import Limits
from monitor.event import Event
from replay.recording import read_raw
from replay.schedule import Record


def kafka_records(path: Path, limits: Limits) -> Iterator[Record]:
    """Records in the file's order. What is no event is sent too, at its predecessor's time: the worker must cope."""
    return as_records(read_raw(path, limits.max_bytes), limits)


def as_records(raw: Iterable[bytes], limits: Limits) -> Iterator[Record]:
    """See ``kafka_records``. A compact record with several clients is split: a client belongs into one partition."""
    ts = 0.0
    for value in raw:
        decoded = decode_record(value, limits, None)
        ts = decoded.events[0].ts if decoded.events else ts
        if len({event.client for event in decoded.events}) <= 1 and not (decoded.events and decoded.rejections):
            yield Record(ts, decoded.events[0].client.encode() if decoded.events else b"", value)
            continue
        by_client: dict[str, list[Event]] = {}
        for event in decoded.events:
            by_client.setdefault(event.client, []).append(event)
        for client, events in by_client.items():
            yield Record(events[0].ts, client.encode(), encode_compact(events))
        for _, kept in decoded.rejections:
            yield Record(ts, b"", kept)
