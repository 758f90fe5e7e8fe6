"""Several workers of one group: rebalances, kills and failures lose nothing and commit nothing unacknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from brokers import BrokerHandle, topic_name
from delivery_kit import TIMEOUT_S, Taken, ack, committed, fill, keep, make_app, make_topic, numbered, running

TESTS = Path(__file__).parent.parent


@contextlib.asynccontextmanager
async def worker(
    broker: BrokerHandle, group: str, topic: str, file: Path, *options: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    command = [sys.executable, "-m", "delivery_worker", broker.bootstrap, group, topic, str(file), *options]
    session_s = 6.0 if broker.kind == "apache" else 2.0
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    process = await asyncio.create_subprocess_exec(
        *command, f"--session-s={session_s}", env=os.environ | {"PYTHONPATH": path}
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def written(*files: Path) -> list[tuple[int, int, int, int]]:
    """(partition, first, next, generation) of all complete lines."""
    lines = [line for f in files if f.exists() for line in f.read_text().split("\n")[:-1]]
    found = [tuple(map(int, line.split())) for line in lines]
    return [(p, first, end, generation) for p, first, end, generation in found]


def covered(rows: list[tuple[int, int, int, int]], partition: int) -> set[int]:
    return {offset for p, first, end, _ in rows if p == partition for offset in range(first, end)}


async def until(condition: Callable[[], object]) -> None:
    """Other processes write files: there is no event to await, so look every now and then."""
    async with asyncio.timeout(2 * TIMEOUT_S):
        while not condition():  # noqa: ASYNC110 (a file is no event)
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("option", ["--uvloop", "--session-s=6"])
async def test_a_worker_ends_in_order_and_commits(broker: BrokerHandle, tmp_path: Path, option: str) -> None:
    """SIGTERM: what was acknowledged is committed. With uvloop, and with asyncio's own loop."""
    topic, group, file = await make_topic(broker), topic_name("group"), tmp_path / "out"
    await fill(broker, topic, numbered(0, 1000))
    async with worker(broker, group, topic, file, option) as process:
        await until(lambda: len(covered(written(file), 0)) == 1000)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), TIMEOUT_S) == 0
    assert await committed(broker, group, topic) == 1000


async def test_a_failing_agent_crashes_the_worker(broker: BrokerHandle, tmp_path: Path) -> None:
    """CrashingSupervisor as ever; the batch that failed is not committed, and the next worker is given it."""
    topic, group, file = await make_topic(broker), topic_name("group"), tmp_path / "out"
    await fill(broker, topic, numbered(0, 500))
    async with worker(broker, group, topic, file, "--fail-at=230") as process:
        assert await asyncio.wait_for(process.wait(), TIMEOUT_S) != 0
    done = covered(written(file), 0)
    assert max(done) < 230
    assert (await committed(broker, group, topic) or 0) <= max(done) + 1
    async with worker(broker, group, topic, file):
        await until(lambda: covered(written(file), 0) == set(range(500)))


async def test_kills_lose_nothing(broker: BrokerHandle, tmp_path: Path) -> None:
    """Two workers, each killed in the middle and begun again, while the topic is being written."""
    topic, group = await make_topic(broker, partitions=4), topic_name("group")
    files = [tmp_path / f"out-{i}" for i in range(4)]
    for partition in range(4):
        await fill(broker, topic, numbered(0, 1000), partition)
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(worker(broker, group, topic, files[0]))
        second = await stack.enter_async_context(worker(broker, group, topic, files[1]))
        await until(lambda: written(*files))
        first.kill()
        await stack.enter_async_context(worker(broker, group, topic, files[2]))
        for partition in range(4):
            await fill(broker, topic, numbered(1000, 2000), partition)
        second.kill()
        await stack.enter_async_context(worker(broker, group, topic, files[3]))
        await until(lambda: all(covered(written(*files), p) == set(range(2000)) for p in range(4)))
    for file in files:  # and none of them went past a record it had not been given, nor got, before
        for partition in range(4):
            for generation in {g for *_, g in written(file)}:
                mine = [(a, b) for p, a, b, g in written(file) if (p, g) == (partition, generation)]
                assert all(later[0] <= earlier[1] for earlier, later in itertools.pairwise(mine))


async def test_rebalance_commits_what_is_acknowledged_and_no_more(broker: BrokerHandle) -> None:
    """A second app joins: acknowledged batches do not come again, all others do, and what is held becomes stale."""
    topic = await make_topic(broker, partitions=2)
    for partition in (0, 1):
        await fill(broker, topic, numbered(0, 100), partition)
    one = make_app(broker, broker_max_poll_records=10)
    group = one.conf.id
    held = Taken(one, topic, then=lambda b: b.ack() if b.next_offset <= 50 else None)
    two = make_app(broker, group=group)
    rest = Taken(two, topic, then=ack)
    async with running(one):
        await held.until_records(200)
        safe = [max(b.next_offset for b in held.batches if b.tp.partition == p and b.next_offset <= 50) for p in (0, 1)]
        before = list(held.batches)
        async with running(two):
            await held.until(lambda: len(held.batches) > len(before))  # its one remaining partition, from there on
            [mine] = {b.tp.partition for b in held.batches[len(before) :]}
            other = 1 - mine
            await rest.until_records(100 - safe[other])
            assert rest.offsets(other) == list(range(safe[other], 100))
            assert held.offsets(mine)[100] == safe[mine]
            assert all(b.stale for b in before if b.next_offset > 50)
            assert not any(b.ack() for b in before)
            assert await committed(broker, group, topic, mine) == safe[mine]
        assert await committed(broker, group, topic, other) == 100
        assert await committed(broker, group, topic, mine) == safe[mine]


async def test_revoked_batches_in_the_queue_are_dropped(broker: BrokerHandle) -> None:
    """What waits behind a batch in hand during a rebalance is fetched anew, in the new generation."""
    topic = await make_topic(broker, partitions=2)
    for partition in (0, 1):
        await fill(broker, topic, numbered(0, 300), partition)
    go = asyncio.Event()

    async def wait(batch: object) -> None:
        await go.wait()

    one = make_app(broker, broker_max_poll_records=10, stream_wait_empty=False)
    slow = Taken(one, topic, then=wait)
    two = make_app(broker, group=one.conf.id)
    rest = Taken(two, topic, then=keep)
    async with running(one):
        await slow.until_records(10)
        generation = one.consumer_generation_id
        async with running(two):
            await rest.until_records(300)
            go.set()
            await slow.until(lambda: sum(len(b.records) for b in slow.batches[1:]) == 300)
            assert slow.batches[0].generation == generation
            assert slow.batches[0].stale
            assert {b.generation for b in slow.batches[1:]} == {one.consumer_generation_id} != {generation}
            [mine] = {b.tp.partition for b in slow.batches[1:]}
            assert [r.offset for b in slow.batches[1:] for r in b.records] == list(range(300))
            assert rest.offsets(1 - mine) == list(range(300))
