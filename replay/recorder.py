"""Records Kafka topics into a recording file; what is no event goes into a file beside it, with its bytes and why."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from monitor.codec import Limits, decode_record
from monitor.codec.tick import decode_tick
from monitor.event import Event, Rejection
from monitor.kafka_admin import partition_counts
from monitor.kafka_auth import client_options
from monitor.kafka_connect import KafkaProblem
from monitor.settings import Kafka
from replay.merge import TimeMerge
from replay.recording import RecordingWriter
from replay.rejects import Reject, RejectsFile

#: A partition silent this long does not hold back the others' events.
HOLD_S = 1.0
POLL_S = 0.2
#: Events kept per partition while they wait for the others' to be put in order.
QUEUED_EVENTS = 5000


@dataclass(frozen=True, slots=True)
class Until:
    """When recording ends, whichever comes first; None = does not end it. Seconds of wall-clock time."""

    events: int | None = None
    duration_s: float | None = None
    idle_s: float | None = None


@dataclass(slots=True)
class Recorded:
    """What was written. ``ticks`` are left out of recordings: playing makes its own."""

    path: Path
    rejected_path: Path
    events: int = 0
    rejected: int = 0
    ticks: int = 0


def record_topics(
    kafka: Kafka,
    topics: Sequence[str],
    path: Path,
    until: Until = Until(),
    from_start: bool = True,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[Recorded], None] | None = None,
) -> Recorded:
    """Write the topics' events to ``path``, the partitions merged by event time. Joins no group, commits nothing.

    Args:
        from_start: False = only what arrives from now on (the embedded broker may give some of the last batch again).
        stop: asked several times a second; True ends the recording in order.
        progress: told after each poll that brought something.

    Raises:
        KafkaProblem, CredentialsError: brokers, login or a missing topic.
        RecordingError, OSError: the file cannot be written; nothing is left behind then.
    """
    counts = partition_counts(kafka, topics)
    missing = [topic for topic in topics if topic not in counts]
    if missing:
        raise KafkaProblem(f"topics do not exist: {', '.join(missing)}")
    partitions = [TopicPartition(topic, p) for topic in topics for p in range(counts[topic])]
    consumer = KafkaConsumer(
        **client_options(kafka),
        auto_offset_reset="earliest" if from_start else "latest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=max(1 << 20, limits.max_bytes),
    )
    recorded = Recorded(path, path.with_name(f"{path.name}.rejected.jsonl"))
    with closing(consumer), RecordingWriter(path) as writer, RejectsFile(recorded.rejected_path) as rejects:
        consumer.assign(partitions)
        intake = _Intake(partitions, writer, rejects, recorded, until.events, limits)
        start_s = last_s = time.monotonic()
        while not (stop() or intake.full()):
            polled = consumer.poll(timeout_ms=int(POLL_S * 1000), max_records=1000)
            now = time.monotonic()
            intake.take(polled, now)
            if polled:
                last_s = now
                if progress is not None:
                    progress(recorded)
            if until.duration_s is not None and now - start_s >= until.duration_s:
                break
            if until.idle_s is not None and now - last_s >= until.idle_s:
                break
            ahead = intake.ahead()
            consumer.pause(*ahead)
            consumer.resume(*(consumer.paused() - ahead))
        intake.finish()
    return recorded


@contextmanager
def stopped_by_signal() -> Iterator[Callable[[], bool]]:
    """A ``stop`` for ``record_topics`` that SIGINT and SIGTERM make true. Only in the main thread."""
    asked = threading.Event()
    before = {number: signal.signal(number, lambda *_: asked.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Intake:
    """Sorts records into events, ticks and rejects, and events by time."""

    def __init__(
        self,
        partitions: Sequence[TopicPartition],
        writer: RecordingWriter,
        rejects: RejectsFile,
        recorded: Recorded,
        most: int | None,
        limits: Limits,
    ) -> None:
        self._partitions = partitions
        self._index = {tp: i for i, tp in enumerate(partitions)}
        self._merge: TimeMerge[Event] = TimeMerge(range(len(partitions)), HOLD_S, QUEUED_EVENTS)
        self._writer, self._rejects, self._recorded = writer, rejects, recorded
        self._most, self._limits = most, limits

    def take(self, polled: Mapping[TopicPartition, Sequence[ConsumerRecord]], now: float) -> None:
        """One poll's records; writes the events whose turn has come."""
        for tp, records in polled.items():
            self._merge.heard(self._index[tp], now)
            for record in records:
                self._sort(self._index[tp], record)
        self._write(self._merge.ready(now))

    def full(self) -> bool:
        """Have as many events been written as were asked for?"""
        return self._most is not None and self._recorded.events >= self._most

    def ahead(self) -> set[TopicPartition]:
        """Partitions that have brought more than can be kept waiting."""
        return {self._partitions[i] for i in self._merge.full()}

    def finish(self) -> None:
        """Write what still waits."""
        self._write(self._merge.rest())

    def _sort(self, source: int, record: ConsumerRecord) -> None:
        try:
            if decode_tick(record.value, record.headers) is not None:
                self._recorded.ticks += 1
                return
        except Rejection as bad_tick:
            self._reject(record, bad_tick, record.value or b"")
            return
        decoded = decode_record(record.value, self._limits)
        for event in decoded.events:
            self._merge.add(source, event.ts, event)
        for rejection, raw in decoded.rejections:
            self._reject(record, rejection, raw)

    def _reject(self, record: ConsumerRecord, rejection: Rejection, raw: bytes) -> None:
        origin = (record.topic, record.partition, record.offset, record.timestamp)
        self._rejects.write(Reject(*origin, record.key, rejection.reason, rejection.detail, raw))
        self._recorded.rejected += 1

    def _write(self, events: Iterator[Event]) -> None:
        # asked before an event is taken: one taken and not written would be lost
        while not self.full() and (event := next(events, None)) is not None:
            self._writer.write(event)
            self._recorded.events += 1
