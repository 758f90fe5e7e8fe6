"""A producer of event and tick records with a bounded number under way; whatever Kafka refuses is raised."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from kafka import KafkaProducer
from kafka import errors as kafka_errors
from kafka.partitioner import murmur2
from kafka.producer.future import FutureRecordMetadata

from monitor.codec.tick import encode_tick
from monitor.kafka_auth import client_options
from monitor.kafka_connect import KafkaProblem
from monitor.settings import Kafka
from replay.schedule import Record, Tick

#: What may be under way at most before deliveries are awaited: bounds memory, and how late a refusal is noticed.
BATCH_RECORDS = 2000
BATCH_BYTES = 16 * 1024 * 1024
#: A slow play settles at least this often (when it sends), so that progress shows.
SETTLE_EVERY_S = 0.5
#: Above the largest event (8 MiB by default) with its framing; the topic's own limit is the broker's to enforce.
MAX_RECORD_BYTES = 64 * 1024 * 1024
DELIVERY_TIMEOUT_S = 60.0
CLOSE_TIMEOUT_S = 5.0


class DeliveryError(KafkaProblem):
    """Kafka did not take a record."""


@dataclass(slots=True)
class Played:
    """What has been sent and acknowledged. ``records`` counts events' records per partition, ticks are apart.

    ``first_ts``/``last_ts`` bound the event times sent, None before the first record.
    """

    records: dict[int, int]
    ticks: int = 0
    first_ts: float | None = None
    last_ts: float | None = None

    @property
    def total(self) -> int:
        return sum(self.records.values())


def partition_of(key: bytes, partitions: int) -> int:
    """Partition of a key: murmur2 (Kafka's default partitioner), sign bit dropped, modulo the number of partitions."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


class Sender:
    """Sends records of one topic; use ``settle`` before believing that anything has arrived.

    The producer is idempotent, which keeps each partition's order even when a request has to be repeated: a tick never
    overtakes a record. Records carry the time of sending as their Kafka timestamp, so that retention counts from now.
    """

    def __init__(
        self, kafka: Kafka, topic: str, partitions: int, progress: Callable[[Played], None] | None = None
    ) -> None:
        self.played = Played(dict.fromkeys(range(partitions), 0))
        self._sent = Played(dict.fromkeys(range(partitions), 0))
        self._topic, self._partitions, self._progress = topic, partitions, progress
        self._open: list[FutureRecordMetadata] = []
        self._open_bytes = 0
        self._settled_s = time.monotonic()
        #: In the order of refusal: the first is the cause, later ones may only follow from it.
        self._refused: list[tuple[int, BaseException]] = []
        self._partition = lru_cache(maxsize=100_000)(lambda key: partition_of(key, self._partitions))
        self._producer = KafkaProducer(
            **client_options(kafka),
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            batch_size=256 * 1024,
            max_request_size=MAX_RECORD_BYTES,
            delivery_timeout_ms=int(DELIVERY_TIMEOUT_S * 1000),
            request_timeout_ms=int(DELIVERY_TIMEOUT_S * 500),
            max_block_ms=int(DELIVERY_TIMEOUT_S * 1000),
        )

    def send(self, item: Record | Tick) -> None:
        """Hand over a record, or a tick for every partition. Raises DeliveryError for it or an earlier one."""
        if self._refused:
            self.settle()
        if isinstance(item, Tick):
            value, headers = encode_tick(item.ts)
            for partition in range(self._partitions):
                self._produce(partition, None, value, headers)
            self._sent.ticks += self._partitions
        else:
            partition = self._partition(item.key)
            self._produce(partition, item.key, item.value, None)
            sent = self._sent
            sent.records[partition] += 1
            sent.first_ts = item.ts if sent.first_ts is None else min(sent.first_ts, item.ts)
            sent.last_ts = item.ts if sent.last_ts is None else max(sent.last_ts, item.ts)
        full = len(self._open) >= BATCH_RECORDS or self._open_bytes >= BATCH_BYTES
        if full or time.monotonic() - self._settled_s >= SETTLE_EVERY_S:
            self.settle()

    def _produce(
        self, partition: int, key: bytes | None, value: bytes, headers: list[tuple[str, bytes]] | None
    ) -> None:
        try:
            future = self._producer.send(self._topic, value=value, key=key, headers=headers, partition=partition)
        except kafka_errors.KafkaError as error:
            raise self._error(partition, error) from error
        future.add_errback(lambda error: self._refused.append((partition, error)))
        self._open.append(future)
        self._open_bytes += len(value)

    def settle(self) -> None:
        """Wait until all that is under way is acknowledged. Raises DeliveryError if anything was not."""
        with suppress(kafka_errors.KafkaError):  # it only hurries; it cannot wait for batches that had to be split
            self._producer.flush(timeout=DELIVERY_TIMEOUT_S)
        for future in self._open:
            try:
                future.get(timeout=DELIVERY_TIMEOUT_S)
            except kafka_errors.KafkaError as error:
                if not self._refused:
                    raise DeliveryError(f"Kafka did not acknowledge within {DELIVERY_TIMEOUT_S:g} s") from error
                partition, cause = self._refused[0]
                raise self._error(partition, cause) from cause
        self._open.clear()
        self._open_bytes = 0
        self._settled_s = time.monotonic()
        sent = self._sent
        self.played = Played(dict(sent.records), sent.ticks, sent.first_ts, sent.last_ts)
        if self._progress is not None:
            self._progress(self.played)

    def close(self) -> None:
        """Give up what is not settled."""
        with suppress(kafka_errors.KafkaError):  # what did not arrive has been told by settle
            self._producer.close(timeout=CLOSE_TIMEOUT_S)

    def _error(self, partition: int, cause: BaseException) -> DeliveryError:
        text = f"a record for topic {self._topic}, partition {partition}, was refused: {cause!r}"
        if isinstance(cause, kafka_errors.MessageSizeTooLargeError | kafka_errors.RecordListTooLargeError):
            text += "; raise max.message.bytes of the topic"
        return DeliveryError(f"{text}. Acknowledged before it: {self.played.total} records")
