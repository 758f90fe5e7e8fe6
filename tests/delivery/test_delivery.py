"""What agents are given: every record, in order, unchanged."""

from __future__ import annotations

import pytest
from brokers import BrokerHandle, topic_name
from delivery_kit import Taken, ack, fill, make_app, make_topic, numbered, producing, running
from faust.types import TP


async def test_every_record_in_order(broker: BrokerHandle) -> None:
    """Four partitions of unlike sizes, one of them empty; none of the batches is larger than asked."""
    topic = await make_topic(broker, partitions=4)
    sizes = {0: 5000, 1: 1, 2: 777, 3: 0}
    for partition, size in sizes.items():
        await fill(broker, topic, numbered(0, size), partition)
    app = make_app(broker, broker_max_poll_records=300)
    taken = Taken(app, topic, then=ack)
    async with running(app):
        await taken.until_records(sum(sizes.values()))
    for partition, size in sizes.items():
        assert taken.values(partition) == numbered(0, size)
        assert taken.offsets(partition) == list(range(size))
    assert 1 < max(len(b.records) for b in taken.batches) <= 300
    assert all(b.next_offset == b.records[-1].offset + 1 for b in taken.batches)
    assert {b.generation for b in taken.batches} == {app.consumer_generation_id}


async def test_a_partition_that_lags_leaves_room_for_another(broker: BrokerHandle) -> None:
    topic = await make_topic(broker, partitions=2)
    for partition in range(2):
        await fill(broker, topic, numbered(0, 9000), partition)
    app = make_app(broker, broker_max_poll_records=300)
    taken = Taken(app, topic, then=ack)
    async with running(app):
        await taken.until_records(18_000)
    order = [b.tp.partition for b in taken.batches]
    assert max(order.index(partition) for partition in range(2)) < 15  # one after the other, it would be 30


async def test_records_as_they_are(broker: BrokerHandle) -> None:
    """Null keys, tombstones, empty values, headers that repeat, timestamps."""
    topic = await make_topic(broker)
    sent = [
        (None, b"v", (), 1_000),
        (b"k", None, (), 2_000),
        (b"", b"", (("a", b"1"), ("a", b"2"), ("b", b"")), 3_000),
        (b"\xff\x00", b"\xfe" * 10, (("x", b"\x00"),), 4_000),
    ]
    async with producing(broker) as producer:
        for key, value, headers, timestamp_ms in sent:
            await producer.send_and_wait(
                topic, value, key=key, partition=0, headers=list(headers), timestamp_ms=timestamp_ms
            )
    app = make_app(broker)
    taken = Taken(app, topic, then=ack)
    async with running(app):
        await taken.until_records(len(sent))
    records = [r for b in taken.batches for r in b.records]
    assert [(r.key, r.value, tuple(r.headers), r.timestamp) for r in records] == sent
    assert {b.tp for b in taken.batches} == {TP(topic, 0)}
    assert {r.timestamp_type for r in records} == {0}


@pytest.mark.parametrize("broker", [pytest.param("apache", marks=pytest.mark.kafka)], indirect=True)
async def test_a_topic_that_the_broker_knows_later(broker: BrokerHandle) -> None:
    """As after its restart: the group comes together while there is no metadata of one of the topics.

    The embedded broker makes topics that it is asked for.
    """
    early, late = await make_topic(broker), topic_name()
    await fill(broker, early, numbered(0, 3))
    app = make_app(broker)
    taken = Taken(app, early, late, then=ack)
    async with running(app):
        await taken.until_records(3)
        assert {tp.topic for tp in app.consumer.assignment()} == {early}
        await make_topic(broker, partitions=3, name=late)
        await fill(broker, late, numbered(0, 5), partition=2)
        await taken.until(lambda: len(taken.values(2)) == 5)
    assert taken.values(2) == numbered(0, 5)


async def test_records_larger_than_a_fetch(broker: BrokerHandle) -> None:
    topic = await make_topic(broker, **({"max.message.bytes": str(4 << 20)} if broker.kind == "apache" else {}))
    values = [bytes([i]) * size for i, size in enumerate((10, 3_000_000, 20, 1_200_000, 1_100_000, 30))]
    await fill(broker, topic, values)
    app = make_app(broker, consumer_max_fetch_size=1 << 20)
    taken = Taken(app, topic, then=ack)
    async with running(app):
        await taken.until_records(len(values))
    assert taken.values() == values


async def test_what_comes_later(broker: BrokerHandle) -> None:
    """Partitions that were read to their end, or were empty, go on when something comes."""
    topic = await make_topic(broker, partitions=2)
    await fill(broker, topic, numbered(0, 10))
    app = make_app(broker)
    taken = Taken(app, topic, then=ack)
    async with running(app):
        await taken.until_records(10)
        await fill(broker, topic, numbered(10, 20))
        await fill(broker, topic, numbered(0, 5), partition=1)
        await taken.until_records(25)
    assert (taken.values(0), taken.values(1)) == (numbered(0, 20), numbered(0, 5))


async def test_two_topics_two_agents_and_both_in_one(broker: BrokerHandle) -> None:
    first, second, third = [await make_topic(broker) for _ in range(3)]
    for topic in (first, second, third):
        await fill(broker, topic, [topic.encode()] * 50)
    app = make_app(broker)
    alone = Taken(app, first, then=ack)
    pair = Taken(app, second, third, then=ack)
    async with running(app):
        await alone.until_records(50)
        await pair.until_records(100)
    assert {b.tp.topic for b in alone.batches} == {first}
    assert {b.tp.topic for b in pair.batches} == {second, third}
    assert all(r.value == b.tp.topic.encode() for b in (*alone.batches, *pair.batches) for r in b.records)
