"""Where the consumer group has read to: where a scope begins that has no state."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import structlog
from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import CoordinatorLoadInProgressError, CoordinatorNotAvailableError, NotCoordinatorError

from monitor.kafka_connect import admin_client
from monitor.kafka_wait import until_answered
from monitor.settings import Kafka

log = structlog.get_logger("vedette.group_offsets")

#: A broker that has just started makes its offsets topic first, or reads it, or hands it to another.
_PASSING: Final = (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError)
_TRIES: Final = 30
_PAUSE_S: Final = 0.3


class GroupOffsets:
    """What the broker holds for the group. It is asked once, and again after ``forget``.

    Offsets are committed only after a checkpoint, by whoever owned the partition then. Asked after the partitions have
    changed hands, the answer covers all that former owners did; what this worker commits later does not matter here.
    """

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._answer: asyncio.Task[dict[tuple[str, int], int]] | None = None

    def forget(self) -> None:
        """Partitions have changed hands."""
        self._answer = None

    async def of(self, topic: str, partition: int) -> int | None:
        """The first offset that the group has not read; None if it has read nothing.

        Waits for a broker. Raises KafkaProblem where that would not help.
        """
        if self._answer is None:
            asking = until_answered(lambda: asyncio.to_thread(self._ask), log.warning)
            self._answer = asyncio.create_task(asking, name="offsets of the group")
        answer = await asyncio.shield(self._answer)  # others wait for it, too
        return answer.get((topic, partition))

    def _ask(self) -> dict[tuple[str, int], int]:
        with admin_client(self._kafka) as admin:
            found = committed(admin, self._kafka.group)
        return {(tp.topic, tp.partition): offset for tp, offset in found.items()}


def committed(admin: KafkaAdminClient, group: str) -> dict[TopicPartition, int]:
    """The group's offsets by partition. Waits some seconds for a broker that has just started.

    Raises what kafka-python raises, ``_PASSING`` if no broker answers for groups.
    """
    for _ in range(_TRIES - 1):
        try:
            return _ask(admin, group)
        except _PASSING:
            time.sleep(_PAUSE_S)
    return _ask(admin, group)


def _ask(admin: KafkaAdminClient, group: str) -> dict[TopicPartition, int]:
    found = admin.list_group_offsets({group: None})[group]
    return {tp: int(at.offset) for tp, at in found.items() if at.offset >= 0}
