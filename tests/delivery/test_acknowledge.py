"""What is committed: all that is acknowledged without a hole before it, and never more."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import faust
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from brokers import BrokerHandle, apache, topic_name
from delivery_kit import (
    TIMEOUT_S,
    Taken,
    ack,
    commit,
    commit_as,
    committed,
    fill,
    keep,
    make_app,
    make_topic,
    numbered,
    producing,
    running,
)
from faust.exceptions import ImproperlyConfigured

from monitor.delivery import BatchApp, batches


async def test_nothing_is_committed_before_it_is_acknowledged(broker: BrokerHandle) -> None:
    topic = await make_topic(broker, partitions=2)
    await fill(broker, topic, numbered(0, 100), 0)
    await fill(broker, topic, numbered(0, 7), 1)
    app = make_app(broker, broker_max_poll_records=10)
    taken = Taken(app, topic, then=keep)
    group = app.conf.id
    async with running(app):
        await taken.until_records(107)
        await commit(app)
        assert await committed(broker, group, topic, 0) is None
        some = [b for b in taken.batches if b.tp.partition == 0 and b.next_offset <= 40]
        for batch in some:
            assert batch.ack()
            assert not batch.ack()  # the second time does nothing
        await commit(app)
        assert await committed(broker, group, topic, 0) == some[-1].next_offset <= 40
        assert await committed(broker, group, topic, 1) is None
        for batch in taken.batches:
            batch.ack()
        await commit(app)
        assert await committed(broker, group, topic, 0) == 100
        assert await committed(broker, group, topic, 1) == 7


async def test_acknowledged_out_of_order(broker: BrokerHandle) -> None:
    topic = await make_topic(broker)
    await fill(broker, topic, numbered(0, 100))
    app = make_app(broker, broker_max_poll_records=10)
    taken = Taken(app, topic, then=keep)
    async with running(app):
        await taken.until_records(100)
        left = list(taken.batches)
        for index in (3, 1, 5, 0, 7, 2):
            taken.batches[index].ack()
            left.remove(taken.batches[index])
            await commit(app)
            first_open = left[0].records[0].offset
            expected = first_open if first_open > 0 else None
            assert await committed(broker, app.conf.id, topic) == expected


async def test_restart_goes_on_after_the_last_acknowledged(broker: BrokerHandle) -> None:
    """The end of an app commits; the next one begins at the first record that was not acknowledged."""
    topic = await make_topic(broker)
    await fill(broker, topic, numbered(0, 60))
    first = make_app(broker, broker_max_poll_records=10)
    taken = Taken(first, topic, then=lambda b: b.ack() if b.next_offset <= 30 else None)
    async with running(first):
        await taken.until_records(60)
    assert await committed(broker, first.conf.id, topic) == 30
    second = make_app(broker, group=first.conf.id)
    taken = Taken(second, topic, then=ack)
    async with running(second):
        await taken.until_records(30)
    assert taken.values() == numbered(30, 60)
    assert await committed(broker, first.conf.id, topic) == 60


async def test_committed_by_itself(broker: BrokerHandle) -> None:
    """Faust's own timer commits, and so does its count of acknowledgements."""
    for options in ({"broker_commit_interval": 0.1}, {"broker_commit_every": 1}):
        topic = await make_topic(broker)
        await fill(broker, topic, numbered(0, 10))
        app = make_app(broker, **options)
        done = asyncio.Event()

        class Watch(faust.Sensor):
            def on_commit_completed(self, consumer: Any, state: Any, done: asyncio.Event = done) -> None:
                if consumer._committed_offset.get((topic, 0)) == 10:  # noqa: B023 (used within this turn)
                    done.set()

        app.sensors.add(Watch())
        taken = Taken(app, topic, then=ack)
        async with running(app):
            await taken.until_records(10)
            if "broker_commit_every" in options:
                await fill(broker, topic, numbered(10, 11))
            await asyncio.wait_for(done.wait(), TIMEOUT_S)
            assert await committed(broker, app.conf.id, topic) == 10


async def test_two_agents_on_one_topic(broker: BrokerHandle) -> None:
    """Both are given every batch; it is committed once both have acknowledged it."""
    topic = await make_topic(broker)
    await fill(broker, topic, numbered(0, 50))
    app = make_app(broker, broker_max_poll_records=10)
    left, right = Taken(app, topic, then=ack), Taken(app, topic, then=keep)
    async with running(app):
        await left.until_records(50)
        await right.until_records(50)
        assert left.values() == right.values() == numbered(0, 50)
        for batch in left.batches:
            assert not batch.ack()
        await commit(app)
        assert await committed(broker, app.conf.id, topic) is None
        for batch in right.batches[:2]:
            assert batch.ack()
        await commit(app)
        assert await committed(broker, app.conf.id, topic) == right.batches[1].next_offset
        for batch in right.batches:
            batch.ack()


async def test_plain_iteration_acknowledges_after_the_body(broker: BrokerHandle) -> None:
    """A stream over a batch topic without ``batches``: the records of a batch, acknowledged as Faust does it."""
    topic = await make_topic(broker)
    await fill(broker, topic, numbered(0, 100))
    app = make_app(broker, broker_max_poll_records=10)
    seen: list[int] = []
    done = asyncio.Event()

    @app.agent(app.batch_topic(topic))
    async def plain(stream: Any) -> None:
        async for records in stream:
            seen.extend(r.offset for r in records)
            if len(seen) == 100:
                done.set()

    async with running(app):
        await asyncio.wait_for(done.wait(), TIMEOUT_S)
    assert seen == list(range(100))
    assert await committed(broker, app.conf.id, topic) == 100


@pytest.mark.kafka
@pytest.mark.parametrize("broker", ["apache"], indirect=True, scope="session")
async def test_gaps_of_transactions(broker: BrokerHandle) -> None:
    """Markers of commits and aborts take offsets that no record has, at the head, between and at the end."""
    topic = await make_topic(broker)
    async with producing(broker, transactional_id=topic_name("tx")) as producer:
        async with producer.transaction():
            await producer.send_and_wait(topic, b"a", partition=0)
        for count in range(20):
            await producer.begin_transaction()
            for i in range(count):
                await producer.send_and_wait(topic, b"%d" % i, partition=0)
            await (producer.abort_transaction() if count % 3 == 0 else producer.commit_transaction())
    app = make_app(broker, broker_max_poll_records=7)
    taken = Taken(app, topic, then=keep)
    count = 1 + sum(range(20))  # Faust reads uncommitted records, so those of aborted transactions too
    async with running(app):
        await taken.until_records(count)
        offsets = taken.offsets()
        assert len(offsets) == count < offsets[-1]
        for batch in taken.batches:
            batch.ack()
            await commit(app)
            assert await committed(broker, app.conf.id, topic) == batch.next_offset


@pytest.mark.kafka
async def test_gaps_of_compaction(tmp_path: Path) -> None:
    """A compacted topic, from its beginning and from a committed offset that lies in a gap."""
    with apache(tmp_path / "kafka", ["log.cleaner.backoff.ms=50"]) as broker:
        topic = await _compacted(broker)
        for begin in (None, 1):
            app = make_app(broker, broker_max_poll_records=3)
            if begin is not None:
                await commit_as(broker, app.conf.id, topic, begin)
            taken = Taken(app, topic, then=keep)
            async with running(app):
                await taken.until(lambda taken=taken: b"last" in taken.values())
                offsets = taken.offsets()
                assert (offsets[0] == 0 and offsets[1] > 1) if begin is None else offsets[0] > begin
                for batch in taken.batches[1:]:
                    batch.ack()
                await commit(app)
                assert await committed(broker, app.conf.id, topic) == begin  # the first is still open
                taken.batches[0].ack()
                await commit(app)
                assert await committed(broker, app.conf.id, topic) == offsets[-1] + 1


async def _compacted(broker: BrokerHandle) -> str:
    """A topic whose offset 0 has a key of its own and stays, and whose next ones are gone."""
    settings = {"segment.ms": "100", "min.cleanable.dirty.ratio": "0.001", "max.compaction.lag.ms": "100"}
    topic = await make_topic(broker, **{"cleanup.policy": "compact"}, **settings)
    async with producing(broker) as producer:
        await producer.send_and_wait(topic, b"first", key=b"first", partition=0)
        for i in range(200):
            await producer.send_and_wait(topic, b"%d" % i, key=b"k%d" % (i % 5), partition=0)
        async with asyncio.timeout(TIMEOUT_S):
            while await _second_offset(broker, topic) == 1:  # segments close when something is written
                await producer.send_and_wait(topic, b"more", key=b"again", partition=0)
        await producer.send_and_wait(topic, b"last", key=b"end", partition=0)
    return topic


async def _second_offset(broker: BrokerHandle, topic: str) -> int:
    reader = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest")
    reader.assign([TopicPartition(topic, 0)])
    await reader.start()
    try:
        await reader.getone()
        return int((await reader.getone()).offset)
    finally:
        await reader.stop()


async def test_batches_of_an_ordinary_topic_are_refused(broker: BrokerHandle) -> None:
    topic = await make_topic(broker)
    await fill(broker, topic, numbered(0, 1))
    app: BatchApp = make_app(broker)
    refused: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @app.agent(app.topic(topic, value_type=bytes, value_serializer="raw"))
    async def plain(stream: Any) -> None:
        try:
            async for _ in batches(stream):
                raise AssertionError("an ordinary message came as a batch")
        except ImproperlyConfigured as problem:
            refused.set_result(str(problem))

    async with running(app):
        assert "batch_topic" in await asyncio.wait_for(refused, TIMEOUT_S)
