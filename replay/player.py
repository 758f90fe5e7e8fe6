"""Plays records into a Kafka topic at the speed of event time, a multiple of it, or as fast as Kafka takes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import closing

from monitor.kafka_admin import partition_counts
from monitor.kafka_connect import KafkaProblem
from monitor.settings import Kafka
from replay.schedule import Record, Tick, schedule
from replay.sender import Played, Sender


def play_to_kafka(
    records: Iterable[Record],
    kafka: Kafka,
    topic: str,
    close_after_s: float,
    speed: float | None = None,
    progress: Callable[[Played], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Played:
    """Send the records in order; a key always goes to the same partition, and ticks to every partition.

    Args:
        close_after_s: see ``schedule``.
        speed: 1 = as recorded, 10 = ten times as fast; None = as fast as possible.
        progress: told after each acknowledged batch.
        clock, sleep: monotonic seconds, and waiting; given by tests.

    Raises:
        KafkaProblem, CredentialsError: brokers, login or topic; see ``monitor.kafka_admin``.
        DeliveryError: a record was refused or not acknowledged in time. None is ever dropped silently.
        ValueError: ``speed`` is not positive.
    """
    if speed is not None and not speed > 0:
        raise ValueError(f"speed must be positive, not {speed}")
    partitions = partition_counts(kafka, [topic]).get(topic)
    if not partitions:
        raise KafkaProblem(f"topic {topic} does not exist at {', '.join(kafka.brokers)}; create it first")
    with closing(Sender(kafka, topic, partitions, progress)) as sender:
        start_s = start_ts = None
        for item in schedule(records, close_after_s):
            due = item.due if isinstance(item, Tick) else item.ts
            if speed is not None:
                if start_s is None or start_ts is None:
                    start_s, start_ts = clock(), due
                early_s = start_s + (due - start_ts) / speed - clock()
                if early_s > 0:
                    sleep(early_s)
            sender.send(item)
        sender.settle()
        return sender.played
