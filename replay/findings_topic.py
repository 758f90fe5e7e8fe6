"""Findings as a worker publishes them, from a moment on until it has nothing more to say."""

from __future__ import annotations

import time
from types import TracebackType

import msgspec
from kafka import KafkaConsumer, TopicPartition

from detectors.finding import Finding
from monitor.kafka_admin import partition_counts
from monitor.kafka_auth import client_options
from monitor.kafka_connect import KafkaProblem
from monitor.settings import Kafka

_POLL_MS = 200


class FindingsTopic:
    """A context manager: entering marks the place, ``until_quiet`` reads from there. Joins no group.

    The embedded broker may give some findings from before that place again; ids tell them apart.

    Raises KafkaProblem, CredentialsError on entering: no broker, login, or topic.
    """

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self._kafka = kafka
        self._topic = topic

    def __enter__(self) -> FindingsTopic:
        count = partition_counts(self._kafka, [self._topic]).get(self._topic)
        if not count:
            raise KafkaProblem(f"topic {self._topic} does not exist: no worker has published findings there yet")
        partitions = [TopicPartition(self._topic, p) for p in range(count)]
        self._consumer = KafkaConsumer(**client_options(self._kafka), enable_auto_commit=False)
        self._consumer.assign(partitions)
        self._consumer.seek_to_end(*partitions)
        for partition in partitions:
            self._consumer.position(partition)  # where "end" is, now rather than at the first poll
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._consumer.close()

    def until_quiet(self, quiet_s: float) -> list[Finding]:
        """What comes until nothing has come for ``quiet_s`` seconds; each id once, ordered by time and id."""
        found: dict[str, Finding] = {}
        last_s = time.monotonic()
        while time.monotonic() - last_s < quiet_s:
            for records in self._consumer.poll(timeout_ms=_POLL_MS).values():
                last_s = time.monotonic()
                for record in records:
                    finding = msgspec.json.decode(record.value, type=Finding)
                    found[finding.id] = finding
        return sorted(found.values(), key=lambda f: (f.ts, f.id))
