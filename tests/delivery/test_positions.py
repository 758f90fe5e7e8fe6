"""Seeks, pauses, stopped flow and slow agents: nothing is skipped, and memory is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from brokers import BrokerHandle, topic_name
from delivery_kit import Taken, ack, commit, committed, fill, keep, make_app, make_topic, numbered, running
from faust.types import TP

from monitor.delivery import BatchApp, RecordBatch
from monitor.delivery.consumer import BatchConsumer


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


class Standing:
    """An app whose agent stands still with its first batch until ``go``; a neighbour shows that fetching goes on."""

    def __init__(self, broker: BrokerHandle, topic: str, other: str, maxsize: int) -> None:
        self.app = make_app(broker, broker_max_poll_records=10)
        self.go = asyncio.Event()
        self.taken = Taken(self.app, topic, then=self._wait, maxsize=maxsize)
        self._neighbour = Taken(self.app, other, then=keep)
        self._broker, self._other = broker, other

    async def _wait(self, batch: RecordBatch) -> None:
        await self.go.wait()
        batch.ack()

    async def until_waiting(self, count: int) -> None:
        """Until the agent has a batch in hand and ``count`` more are delivered behind it."""
        await self.taken.until(lambda: self.taken.batches)
        while sum(map(len, self.app.consumer._progress.values())) < count + 1:
            await self.fetched_again()

    def reached(self, topic: str) -> int:
        """One past the last record delivered, to the agent or its queue."""
        progress = self.app.consumer._progress.get(TP(topic, 0))
        return (progress.position or 0) if progress else 0

    async def fetched_again(self) -> None:
        seen = len(self._neighbour.offsets())
        await fill(self._broker, self._other, [b"x"])
        await self._neighbour.until_records(seen + 1)


async def test_what_comes_while_a_batch_waits_joins_it(broker: BrokerHandle) -> None:
    """Up to the most records of a batch (10); a busy agent gets few large batches, in which nothing is missing."""
    topic, other = await make_topic(broker), await make_topic(broker)
    standing = Standing(broker, topic, other, maxsize=8)
    taken = standing.taken
    async with running(standing.app):
        await fill(broker, topic, numbered(0, 1))
        await taken.until_records(1)
        for first in (1, 4, 7, 10, 13):
            await fill(broker, topic, numbered(first, first + 3))
            while standing.reached(topic) < first + 3:
                await standing.fetched_again()
        standing.go.set()
        await taken.until_records(16)
        await commit(standing.app)
        assert await committed(broker, standing.app.conf.id, topic) == 16
    assert [len(b.records) for b in taken.batches] == [1, 9, 6]
    assert_no_hole(taken.batches)


async def test_a_stream_without_batches_gets_what_joined_as_well(broker: BrokerHandle) -> None:
    """The values of a plain stream are the batches' records."""
    topic, other = await make_topic(broker), await make_topic(broker)
    app, go, seen = make_app(broker), asyncio.Event(), list[int]()

    async def run(stream: Any) -> None:
        async for records in stream:
            seen.extend(r.offset for r in records)
            done.set()
            await go.wait()

    done = asyncio.Event()
    app.agent(app.batch_topic(topic), name=topic_name("agent"))(run)
    neighbour = Taken(app, other, then=keep)
    async with running(app):
        for first in range(0, 12, 3):
            await fill(broker, topic, numbered(first, first + 3))
            await fill(broker, other, [b"x"])
            await neighbour.until_records(first // 3 + 1)
            await done.wait()
        go.set()
        while len(seen) < 12:
            done.clear()
            await done.wait()
    assert seen == list(range(12))


async def test_seek_leaves_out_what_waits_behind_the_batch_in_hand(broker: BrokerHandle) -> None:
    topic, other = await make_topic(broker), await make_topic(broker)
    await fill(broker, topic, numbered(0, 200))
    standing = Standing(broker, topic, other, maxsize=8)
    async with running(standing.app):
        await standing.until_waiting(4)
        await standing.app.consumer.seek(TP(topic, 0), 5)
        standing.go.set()
        await standing.taken.until(lambda: standing.taken.batches[-1].next_offset == 200)
        assert [r.offset for b in standing.taken.batches[1:] for r in b.records] == list(range(5, 200))
        await commit(standing.app)
        assert await committed(broker, standing.app.conf.id, topic) == 200


async def test_emptied_queues_are_filled_again(broker: BrokerHandle) -> None:
    """Faust empties them whenever flow resumes. The batch in hand is not repeated."""
    topic, other = await make_topic(broker), await make_topic(broker)
    await fill(broker, topic, numbered(0, 200))
    standing = Standing(broker, topic, other, maxsize=8)
    async with running(standing.app):
        await standing.until_waiting(4)
        standing.app.consumer.stop_flow()
        standing.app.flow_control.suspend()
        standing.app.flow_control.resume()
        standing.app.consumer.resume_flow()
        standing.go.set()
        await standing.taken.until_records(200)
        assert standing.taken.offsets() == list(range(200))
        await commit(standing.app)
        assert await committed(broker, standing.app.conf.id, topic) == 200


@pytest.mark.parametrize("how", ["pause", "seek"])
async def test_fetched_and_not_yet_delivered(broker: BrokerHandle, how: str) -> None:
    """One fetch brings eight partitions; while the third waits for room, all are paused, or moved back."""
    topic, other = await make_topic(broker, partitions=8), await make_topic(broker)
    for partition in range(8):
        await fill(broker, topic, numbered(0, 1), partition)
    standing = Standing(broker, topic, other, maxsize=1)
    app, taken = standing.app, standing.taken
    tps = [TP(topic, partition) for partition in range(8)]
    async with running(app):
        await taken.until_records(1)
        if how == "pause":
            app.consumer.pause_partitions(tps)
            standing.go.set()
            await standing.fetched_again()
            app.consumer.resume_partitions(tps)
            await taken.until_records(8)
            assert sorted(b.tp.partition for b in taken.batches) == list(range(8))
            return
        for tp in tps:
            await app.consumer.seek(tp, 0)
        standing.go.set()
        await taken.until_records(9)
        await standing.fetched_again()
        assert sorted(b.tp.partition for b in taken.batches[1:]) == list(range(8))


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
        if batch.next_offset <= 100:
            batch.ack()
        elif len(taken.batches) % 5 == 0:
            await commit(app)
            await app.consumer.perform_seek()

    taken = Taken(app, topic, then=now_and_then)
    async with running(app):
        await taken.until_records(500)
        assert taken.offsets() == list(range(500))
        assert await committed(broker, app.conf.id, topic) == 100
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


@pytest.mark.parametrize("neighbour", [False, True], ids=["alone", "beside a topic without records"])
async def test_reads_on_as_soon_as_the_agent_has_room(
    broker: BrokerHandle, monkeypatch: pytest.MonkeyPatch, *, neighbour: bool
) -> None:
    """Not when the fetch of other partitions, or Faust's pause if there are none, has taken its time: here an hour."""
    full, wait = asyncio.Event(), BatchConsumer._wait_next_records

    async def patiently(consumer: BatchConsumer, timeout: float) -> Any:  # noqa: ASYNC109 (Faust passes it)
        if consumer._buffered_partitions:
            full.set()  # the agent goes on when this waits
        return await wait(consumer, timeout * 3600.0)

    monkeypatch.setattr(BatchConsumer, "_wait_next_records", patiently)
    topic, other = await make_topic(broker), await make_topic(broker)
    await fill(broker, topic, numbered(0, 400))
    app = make_app(broker, broker_max_poll_records=10)

    async def once_full(batch: RecordBatch) -> None:
        await full.wait()
        batch.ack()

    taken = Taken(app, topic, then=once_full, maxsize=4)
    if neighbour:
        Taken(app, other, then=ack)
    async with running(app):
        await taken.until_records(400)
        assert taken.offsets() == list(range(400))
