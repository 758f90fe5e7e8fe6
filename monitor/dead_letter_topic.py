"""Reads the dead-letter topic to its end, or one letter of it. Joins no group, commits nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka import errors as kafka_errors

from monitor.dead_letters import Letter, Replayed, read_letter
from monitor.kafka_admin import partition_counts
from monitor.kafka_auth import client_options
from monitor.kafka_connect import KafkaProblem
from monitor.settings import Kafka

#: Nothing for so long, and nothing known to be left: the end. A broker's word on where the end is is not enough: the
#: embedded one's lies inside the last batch, whose rest a client may still be about to hand over.
QUIET_S: Final = 0.5
#: Something is known to be left, but does not come.
_STALLED_S: Final = 60.0
#: Beyond what the broker calls the end there is nothing, or, with the embedded one, the rest of the last batch.
_BEYOND_S: Final = 2.0
_POLL_S: Final = 0.2
_FETCH_BYTES: Final = 32 * 1024 * 1024


class DeadLetterTopic:
    """One dead-letter topic.

    Raises KafkaProblem, CredentialsError: no broker, login, topic or right.
    """

    def __init__(self, kafka: Kafka, name: str, quiet_s: float = QUIET_S) -> None:
        self._kafka = kafka
        self._name = name
        self._quiet_s = quiet_s
        #: Records that are neither letters nor notes, as of the last ``read``.
        self.foreign = 0

    def read(self) -> Iterator[Letter | Replayed]:
        """Everything it holds now, partition by partition in order; what comes while reading may be left out."""
        self.foreign = 0
        for record in self._records():
            try:
                yield _item(record)
            except ValueError:
                self.foreign += 1

    def letter(self, partition: int, offset: int, timeout_s: float = 10.0) -> Letter | None:
        """The letter at one place; None if there is none (any more)."""
        place = TopicPartition(self._name, partition)
        with self._consumer() as (consumer, partitions):
            if place not in partitions:
                return None
            consumer.assign([place])
            consumer.seek(place, offset)
            if offset >= consumer.end_offsets([place])[place]:
                timeout_s = _BEYOND_S
            give_up_s = time.monotonic() + timeout_s
            while time.monotonic() < give_up_s:
                for record in consumer.poll(timeout_ms=int(_POLL_S * 1000), max_records=1).get(place, ()):
                    try:
                        item = _item(record) if record.offset == offset else None
                    except ValueError:
                        return None
                    return item if isinstance(item, Letter) else None
                if consumer.position(place) > offset:
                    return None
        return None

    def _records(self) -> Iterator[Any]:
        started_ms = time.time() * 1000
        with self._consumer() as (consumer, partitions):
            consumer.assign(partitions)
            consumer.seek_to_beginning(*partitions)
            ends: dict[TopicPartition, int] = consumer.end_offsets(partitions)
            unread = set(partitions)
            last_s = time.monotonic()
            while unread:
                for place, records in consumer.poll(timeout_ms=int(_POLL_S * 1000)).items():
                    last_s = time.monotonic()
                    for record in records:
                        if record.offset >= ends[place] and record.timestamp > started_ms:
                            # came while we read; without this a topic that is written to all the time has no end
                            unread.discard(place)
                            consumer.pause(place)
                            break
                        yield record
                        last_s = time.monotonic()  # whoever reads may have taken his time
                silent_s = time.monotonic() - last_s
                if silent_s < self._quiet_s:
                    continue
                left = [p for p in unread if consumer.position(p) < ends[p]]
                if not left:
                    return
                if silent_s > _STALLED_S:
                    raise KafkaProblem(
                        f"topic {self._name}: nothing comes from partition {left[0].partition} beyond offset "
                        f"{consumer.position(left[0])} of {ends[left[0]]}; is its leader up?"
                    )

    @contextmanager
    def _consumer(self) -> Iterator[tuple[KafkaConsumer, list[TopicPartition]]]:
        count = partition_counts(self._kafka, [self._name]).get(self._name)
        if not count:
            raise KafkaProblem(f"topic {self._name} does not exist: no worker has started yet")
        consumer = KafkaConsumer(
            **client_options(self._kafka),
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
        with closing(consumer):
            try:
                yield consumer, [TopicPartition(self._name, p) for p in range(count)]
            except kafka_errors.AuthorizationError as error:
                raise KafkaProblem(
                    f"topic {self._name} may not be read: grant Read and Describe there ({type(error).__name__})"
                ) from error
            except kafka_errors.KafkaError as error:
                raise KafkaProblem(f"topic {self._name} cannot be read: {error}") from error


def _item(record: Any) -> Letter | Replayed:
    headers = [(name, bytes(content or b"")) for name, content in record.headers]
    return read_letter(record.topic, record.partition, record.offset, record.value, headers, record.timestamp)
