"""Ordinary agents and tables beside batch agents in one app, and setups that are refused."""

from __future__ import annotations

import ast
import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from brokers import BrokerHandle, topic_name
from delivery_kit import TIMEOUT_S, Taken, ack, commit, committed, fill, make_app, make_topic, numbered, running
from faust.exceptions import ImproperlyConfigured

import monitor.delivery
from monitor.delivery import BatchApp
from monitor.delivery.thread import FETCH_WAIT_MS

RAW = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}


async def test_ordinary_agent_beside_a_batch_agent(broker: BrokerHandle) -> None:
    """Each has its own topic; Faust acknowledges and commits the ordinary one as ever."""
    in_batches, one_by_one = await make_topic(broker), await make_topic(broker)
    await fill(broker, in_batches, numbered(0, 300))
    await fill(broker, one_by_one, numbered(0, 300))
    app = make_app(broker)
    taken = Taken(app, in_batches, then=ack)
    seen: list[bytes] = []
    done = asyncio.Event()

    @app.agent(app.topic(one_by_one, **RAW))
    async def plain(stream: Any) -> None:
        async for value in stream:
            seen.append(value)
            if len(seen) == 300:
                done.set()

    async with running(app):
        await taken.until_records(300)
        await asyncio.wait_for(done.wait(), TIMEOUT_S)
        assert seen == taken.values() == numbered(0, 300)
    assert await committed(broker, app.conf.id, in_batches) == 300
    assert await committed(broker, app.conf.id, one_by_one) == 300


async def test_a_fetch_that_waits_for_records_ends_soon(broker: BrokerHandle) -> None:
    """By what Faust has, records are up to 1.5 s late on a broker that does not answer as soon as one comes."""
    app = make_app(broker)
    Taken(app, await make_topic(broker), then=ack)
    async with running(app):
        assert app.consumer._thread._consumer._fetcher._fetch_max_wait_ms == FETCH_WAIT_MS


async def test_sent_from_a_batch_agent(broker: BrokerHandle) -> None:
    """A batch agent writes to another batch topic of the app, which a second one reads."""
    first, second = await make_topic(broker), await make_topic(broker)
    await fill(broker, first, numbered(0, 50))
    app = make_app(broker)
    target = app.batch_topic(second, **RAW)

    async def forward(batch: Any) -> None:
        for record in batch.records:
            await target.send(key=b"k", value=record.value, partition=0)
        batch.ack()

    Taken(app, first, then=forward)
    read = Taken(app, second, then=ack)
    async with running(app):
        await read.until_records(50)
    assert read.values() == numbered(0, 50)
    assert {r.key for b in read.batches for r in b.records} == {b"k"}


async def test_table_filled_from_batches_and_recovered(broker: BrokerHandle) -> None:
    """Sums per key in a table, changed by an ordinary agent, while a batch agent reads: a second app recovers them.

    During the recovery flow goes on and off again while batches come in; none is lost. Of ordinary messages Faust may
    lose some then: they are sent when it is over, and come while there are batches to read.
    """
    source, numbers = await make_topic(broker), await make_topic(broker)
    group = topic_name("group")
    changelog = {"cleanup.policy": "compact"} if broker.kind == "apache" else {}
    sums: dict[str, int] = {}
    for turn in (1, 2):
        await fill(broker, source, numbered(0, 1000))
        app, table, done = _with_table(broker, group, numbers, changelog)
        taken = Taken(app, source, then=ack)
        async with running(app):
            await taken.until_records(1000)
            await fill(broker, source, numbered(1000, 2000))
            await fill(broker, numbers, [b"%d" % i for i in range(20)])
            await taken.until_records(2000)
            await asyncio.wait_for(done.wait(), TIMEOUT_S)
            sums = dict(table.items())
            async with asyncio.timeout(TIMEOUT_S):  # the last number is acknowledged after it has been counted
                while await committed(broker, group, numbers) != 20 * turn:
                    await commit(app)
        assert taken.offsets() == list(range(2000 * (turn - 1), 2000 * turn))
        assert await committed(broker, group, source) == 2000 * turn
    assert sums == {"even": 2 * sum(range(0, 20, 2)), "odd": 2 * sum(range(1, 20, 2))}


def _with_table(
    broker: BrokerHandle, group: str, numbers: str, config: dict[str, str]
) -> tuple[BatchApp, Any, asyncio.Event]:
    options: dict[str, Any] = {
        "topic_allow_declare": True,
        "topic_replication_factor": 1,
        "topic_partitions": 1,
        "producer_max_batch_size": 1,  # the embedded broker takes a batch of the producer for one record at its end
    }
    app = make_app(broker, group, **options)
    table = app.Table("sums", default=int, partitions=1, extra_topic_configs=config)
    done = asyncio.Event()

    @app.agent(app.topic(numbers, value_type=bytes, value_serializer="raw"))
    async def add(stream: Any) -> None:
        count = 0
        async for value in stream:
            number = int(value)
            table["odd" if number % 2 else "even"] += number
            count += 1
            if count == 20:
                done.set()

    return app, table, done


async def test_one_topic_both_ways_is_refused(broker: BrokerHandle) -> None:
    topic = await make_topic(broker)
    app = make_app(broker)
    Taken(app, topic, then=ack)

    @app.agent(app.topic(topic, **RAW))
    async def plain(stream: Any) -> None:
        async for _ in stream:
            raise AssertionError("nothing may be delivered")

    async with running(app):
        await asyncio.wait_for(app.topics._crashed.wait(), TIMEOUT_S)
        assert app.crashed
    assert isinstance(app.crash_reason, ImproperlyConfigured)
    assert topic in str(app.crash_reason)


@pytest.mark.parametrize("options", [{"acks": False}, {"pattern": "a.*"}])
def test_batch_topics_are_named_and_acknowledged(options: dict[str, Any]) -> None:
    app = BatchApp("refused", broker="kafka://127.0.0.1:1")
    names = [] if "pattern" in options else ["a"]
    with pytest.raises(ImproperlyConfigured, match="batch topics"):
        app.batch_topic(*names, **options)


def test_other_drivers_are_refused() -> None:
    app = BatchApp("refused", broker="confluent://127.0.0.1:1")
    with pytest.raises(ImproperlyConfigured, match="aiokafka"):
        app.transport  # noqa: B018 (made when asked for)


def test_the_package_stands_alone() -> None:
    """A Faust user can take the folder as it is: it imports itself, Faust, mode, aiokafka and Python alone."""
    allowed = {"faust", "mode", "aiokafka", "monitor.delivery"} | sys.stdlib_module_names
    for file in Path(monitor.delivery.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                parts = name.split(".")
                assert parts[0] in allowed or ".".join(parts[:2]) in allowed, f"{file.name} imports {name}"
