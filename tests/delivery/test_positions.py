"""Seeks, pauses, stopped flow and slow agents: nothing is skipped, and memory is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from brokers import BrokerHandle
from delivery_kit import Taken, commit, committed, fill, keep, make_app, make_topic, numbered, running
from faust.types import TP

from monitor.delivery import BatchApp, RecordBatch


def assert_no_hole(batches: Sequence[RecordBatch], first: int = 0) -> None:
    """Whenever a batch came, all records before it had come (their offsets have no gaps in these tests)."""
    reached = first
    for batch in batches:
        assert batch.records[0].offset <= reached
        assert [r.offset for r in batch.records] == list(range(batch.records[0].offset, batch.next_offset))
        reached = max(reached, batch.next_offset)


async def test_seek_back(broker: BrokerHandle) -> None:
    """What comes after a seek starts there; what an agent holds of before it is stale, and moves no offset."""
    topic = await make_topic(broker)
    await fill(broker, topic, numbered(0, 100))
    app = make_app(broker, broker_max_poll_records=10)
    taken = Taken(app, topic, then=keep)
    async with running(app):
        await taken.until_records(100)
        before = list(taken.batches)
        await app.consumer.seek(TP(topic, 0), 30)
        await taken.until_records(170)
        again = taken.batches[len(before) :]
        assert [r.offset for b in again for r in b.records] == list(range(30, 100))
        assert all(b.stale for b in before)
        assert not any(b.ack() for b in before)
        await commit(app)
        assert await committed(broker, app.conf.id, topic) is None
        assert all(b.ack() for b in again)
        await commit(app)
        assert await committed(broker, app.conf.id, topic) == 100


@pytest.mark.parametrize("offset", [0, 55])
async def test_seek_while_an_agent_works(broker: BrokerHandle, offset: int) -> None:
    """Batches that wait behind the one in hand are not given to the agent after a seek."""
    topic = await make_topic(broker)
    await fill(broker, topic, numbered(0, 200))
    app = make_app(broker, broker_max_poll_records=10)

    async def seek_once(batch: RecordBatch) -> None:
        if batch.records[0].offset == 20 and not batch.stale and sought == []:
            sought.append(len(taken.batches))
            await app.consumer.seek(batch.tp, offset)
        batch.ack()

    sought: list[int] = []
    taken = Taken(app, topic, then=seek_once)
    async with running(app):
        await taken.until(lambda: sought and taken.batches[-1].next_offset == 200)
        later = taken.batches[sought[0] :]
        assert later[0].records[0].offset == offset
        assert [r.offset for b in later for r in b.records] == list(range(offset, 200))
        await commit(app)
        assert await committed(broker, app.conf.id, topic) == 200


@pytest.mark.parametrize("clears", [False, True])
async def test_flow_stopped_again_and_again(broker: BrokerHandle, clears: bool) -> None:
    """Stopped flow, with the queues emptied as in a rebalance or left alone, loses nothing."""
    topic = await make_topic(broker, partitions=2)
    for partition in (0, 1):
        await fill(broker, topic, numbered(0, 1000), partition)
    app = make_app(broker, broker_max_poll_records=20)

    async def now_and_then(batch: RecordBatch) -> None:
        turns.append(batch)
        if len(turns) % 7 == 0:
            app.consumer.stop_flow()
            app.flow_control.suspend()
            await asyncio.sleep(0)
            (app.flow_control.resume if clears else _resume_gently)(*(() if clears else (app,)))
            app.consumer.resume_flow()
        await asyncio.sleep(0)
        batch.ack()

    turns: list[RecordBatch] = []
    taken = Taken(app, topic, then=now_and_then)
    async with running(app):
        await taken.until(lambda: {0, 1} <= {b.tp.partition for b in taken.batches if b.next_offset == 1000})
        for partition in (0, 1):
            assert_no_hole([b for b in taken.batches if b.tp.partition == partition])
            assert sorted(set(taken.offsets(partition))) == list(range(1000))
    assert await committed(broker, app.conf.id, topic, 0) == 1000
    assert await committed(broker, app.conf.id, topic, 1) == 1000


def _resume_gently(app: BatchApp) -> None:
    app.flow_control._suspend.clear()
    app.flow_control._resume.set()


async def test_seek_to_committed_offsets_repeats_nothing_that_is_in_hand(broker: BrokerHandle) -> None:
    """Faust does it by itself at the end of a recovery, and when flow stopped during a fetch."""
    topic = await make_topic(broker)
    await fill(broker, topic, numbered(0, 500))
    app = make_app(broker, broker_max_poll_records=10)

    async def now_and_then(batch: RecordBatch) -> None:
        if len(taken.batches) % 5 == 0:
            await app.consumer.perform_seek()

    taken = Taken(app, topic, then=now_and_then)
    async with running(app):
        await taken.until(lambda: taken.batches and taken.batches[-1].next_offset == 500)
        assert_no_hole(taken.batches)
        for batch in taken.batches:
            batch.ack()
        await commit(app)
        assert await committed(broker, app.conf.id, topic) == 500


async def test_paused_partition(broker: BrokerHandle) -> None:
    """A paused partition gives nothing more than what was fetched; resumed, it goes on where it stood."""
    topic = await make_topic(broker, partitions=2)
    for partition in (0, 1):
        await fill(broker, topic, numbered(0, 400), partition)
    app = make_app(broker, broker_max_poll_records=10)
    tp = TP(topic, 0)

    async def pause_once(batch: RecordBatch) -> None:
        if batch.tp == tp and batch.records[0].offset == 0:
            app.consumer.pause_partitions([tp])
        batch.ack()

    taken = Taken(app, topic, then=pause_once, maxsize=2)
    async with running(app):
        await taken.until(lambda: len(taken.offsets(1)) >= 400 and taken.offsets(0))
        for more in (400, 401):  # its neighbour goes on meanwhile
            await fill(broker, topic, [b"%d" % more], 1)
            await taken.until(lambda more=more: len(taken.offsets(1)) > more)
        assert len(taken.offsets(0)) < 100
        app.consumer.resume_partitions([tp])
        await taken.until_records(802)
        assert taken.offsets(0) == list(range(400))
        assert taken.offsets(1) == list(range(402))
    assert await committed(broker, app.conf.id, topic, 0) == 400


async def test_slow_agent_bounds_what_is_in_memory(broker: BrokerHandle) -> None:
    """While the agent stands still no more is fetched than the queue holds and one fetch besides."""
    topic = await make_topic(broker)
    await fill(broker, topic, numbered(0, 2000))
    app = make_app(broker, broker_max_poll_records=10)
    go, alive = asyncio.Event(), asyncio.Event()

    async def stand_still(batch: RecordBatch) -> None:
        await go.wait()
        batch.ack()

    other = await make_topic(broker)
    taken = Taken(app, topic, then=stand_still, maxsize=4)
    neighbour = Taken(app, other, then=lambda _: alive.set())
    async with running(app):
        await taken.until_records(10)
        for turn in range(5):  # other topics go on, and each turn is one fetch at least
            await fill(broker, other, [b"x"])
            await neighbour.until_records(turn + 1)
        progress = app.consumer._progress[TP(topic, 0)]
        assert progress.position <= 10 * (1 + 4 + 2)
        go.set()
        await taken.until_records(2000)
        assert taken.offsets() == list(range(2000))
