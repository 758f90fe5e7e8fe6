"""For the tests of batch delivery: an app on a real broker, what its agents were given, what its group committed."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from brokers import BrokerHandle, topic_name

from monitor.delivery import BatchApp, RecordBatch, batches

TIMEOUT_S = 30.0


async def make_topic(broker: BrokerHandle, partitions: int = 1, name: str = "", **configs: str) -> str:
    name = name or topic_name()
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=configs)])
    finally:
        await admin.close()
    return name


@contextlib.asynccontextmanager
async def producing(broker: BrokerHandle, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, linger_ms=5, **options)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def fill(broker: BrokerHandle, topic: str, values: Sequence[bytes | None], partition: int = 0) -> None:
    """Values without keys, in order, into one partition."""
    async with producing(broker, max_request_size=4 << 20) as producer:
        sent = [await producer.send(topic, value, partition=partition) for value in values]
        await asyncio.gather(*sent)


def numbered(first: int, last: int) -> list[bytes]:
    return [b"%d" % i for i in range(first, last)]


@contextlib.asynccontextmanager
async def _member(broker: BrokerHandle, group: str, tp: TopicPartition) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer with the group's name that does not join it."""
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=group, enable_auto_commit=False)
    consumer.assign([tp])
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def committed(broker: BrokerHandle, group: str, topic: str, partition: int = 0) -> int | None:
    """What the broker holds for the group."""
    tp = TopicPartition(topic, partition)
    async with _member(broker, group, tp) as consumer:
        offset: int | None = await consumer.committed(tp)
        return offset


async def commit_as(broker: BrokerHandle, group: str, topic: str, offset: int) -> None:
    """Let a group that nobody has joined begin at ``offset``."""
    tp = TopicPartition(topic, 0)
    async with _member(broker, group, tp) as consumer:
        await consumer.commit({tp: offset})


def make_app(broker: BrokerHandle, group: str | None = None, **options: Any) -> BatchApp:
    """Nothing is committed but by ``commit`` and at its end, unless ``broker_commit_interval`` is given."""
    session_s = 6.0 if broker.kind == "apache" else 2.0  # the embedded broker lets a group wait for half of it
    defaults: dict[str, Any] = {
        "broker": f"kafka://{broker.bootstrap}",
        "broker_session_timeout": session_s,
        "broker_heartbeat_interval": session_s / 3,
        "broker_commit_interval": 3600.0,
        "broker_commit_every": 1 << 60,
        "consumer_auto_offset_reset": "earliest",
        "stream_wait_empty": False,  # at its end it would wait for ever for what a test keeps unacknowledged
        "store": "memory://",
        "datadir": tempfile.gettempdir(),
        "topic_disable_leader": True,
        "topic_allow_declare": False,
        "web_enabled": False,
    }
    return BatchApp(group or topic_name("group"), **(defaults | options))


class Taken:
    """What a batch agent was given, in its order. ``then`` deals with a batch, and acknowledges it or does not."""

    def __init__(self, app: BatchApp, *topics: str, then: Callable[[RecordBatch], Any], **options: Any) -> None:
        self.batches: list[RecordBatch] = []
        self._then = then
        self._changed = asyncio.Event()
        app.agent(app.batch_topic(*topics, **options), name=topic_name("agent"))(self._run)

    async def _run(self, stream: Any) -> None:
        async for batch in batches(stream):
            self.batches.append(batch)
            self._changed.set()
            result = self._then(batch)
            if asyncio.iscoroutine(result):
                await result

    def offsets(self, partition: int = 0) -> list[int]:
        return [r.offset for b in self.batches if b.tp.partition == partition for r in b.records]

    def values(self, partition: int = 0) -> list[bytes | None]:
        return [r.value for b in self.batches if b.tp.partition == partition for r in b.records]

    async def until(self, condition: Callable[[], object]) -> None:
        """Until it holds; looked at when a batch comes."""
        async with asyncio.timeout(TIMEOUT_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def until_records(self, count: int) -> None:
        await self.until(lambda: sum(len(b.records) for b in self.batches) >= count)


def ack(batch: RecordBatch) -> None:
    batch.ack()


def keep(batch: RecordBatch) -> None:
    """Leave it unacknowledged."""


@contextlib.asynccontextmanager
async def running(app: BatchApp) -> AsyncIterator[BatchApp]:
    async with asyncio.timeout(2 * TIMEOUT_S):
        await app.start()
        try:
            yield app
        finally:
            await app.stop()


async def commit(app: BatchApp) -> None:
    """Commit what may be committed, now."""
    await app.consumer.commit()
