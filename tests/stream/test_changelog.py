"""State in a topic of a real broker: takeovers, large values, and owners who do not know that they were replaced."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable

import pytest
from aiokafka import AIOKafkaConsumer
from brokers import Apache, BrokerHandle, topic_name

from monitor.changelog import PIECE_BYTES, Changelog
from monitor.kafka_admin import ensure_topics
from monitor.settings import Topic
from monitor.state import Saved, StateTakenError
from monitor.topics import COMPACTED

Make = Callable[[], Changelog]


@pytest.fixture
async def make(broker: BrokerHandle) -> AsyncIterator[Make]:
    """Owners on one topic with two partitions; each call is another worker."""
    topic = topic_name("state")
    await asyncio.to_thread(ensure_topics, broker.kafka, [Topic(topic, partitions=2)], configs={topic: COMPACTED})
    made: list[Changelog] = []

    def owner() -> Changelog:
        made.append(Changelog(broker.kafka, topic, 2, settle_s=0.0))
        return made[-1]

    yield owner
    for changelog in made:
        await changelog.stop()


async def started(changelog: Changelog) -> Changelog:
    await changelog.start()
    return changelog


async def test_what_was_saved_is_what_the_next_owner_loads(make: Make) -> None:
    """Values of every size, in several saves; scopes of one partition of the topic do not mix."""
    first = await started(make())
    assert await first.load("events/0", 0) == Saved()
    await first.load("events/2", 2)
    large = os.urandom(2 * PIECE_BYTES + 17)
    await first.save("events/0", {"a": b"1", "large": large, "empty": b"", "gone": b"x"}, 10)
    await first.save("events/2", {"a": b"other"}, 7)
    await first.save("events/0", {"a": b"2", "gone": None}, 20)
    second = await started(make())
    assert await second.load("events/0", 0) == Saved({"a": b"2", "large": large, "empty": b""}, 20)
    assert await second.load("events/2", 2) == Saved({"a": b"other"}, 7)


async def test_a_replaced_owner_changes_nothing_whatever_it_writes(make: Make) -> None:
    old = await started(make())
    await old.load("events/1", 1)
    await old.save("events/1", {"a": b"old", "b": b"old"}, 10)
    new = await started(make())
    assert (await new.load("events/1", 1)).next_offset == 10
    await old.save("events/1", {"a": b"stale"}, 11)
    await new.save("events/1", {"b": b"new"}, 12)
    third = await started(make())
    assert await third.load("events/1", 1) == Saved({"a": b"old", "b": b"new"}, 12)


@pytest.mark.kafka
async def test_a_broker_that_goes_down_before_the_state_is_read(
    own_apache: Apache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for: the worker has other partitions to judge."""
    topic = topic_name("state")
    await asyncio.to_thread(ensure_topics, own_apache.kafka, [Topic(topic, partitions=1)], configs={topic: COMPACTED})
    changelog = await started(Changelog(own_apache.kafka, topic, 1, settle_s=0.0))
    await changelog.load("events/0", 0)
    await changelog.save("events/0", {"a": b"1"}, 10)
    connect, broker = AIOKafkaConsumer.start, iter((own_apache.stop, own_apache.start))

    async def start(consumer: AIOKafkaConsumer) -> None:
        if (change := next(broker, None)) is not None:
            await asyncio.to_thread(change)
        await connect(consumer)

    monkeypatch.setattr(AIOKafkaConsumer, "start", start)
    assert await changelog.load("events/0", 0) == Saved({"a": b"1"}, 10)
    assert next(broker, None) is None, "it was down once, and came up again"
    await changelog.stop()


async def test_a_scope_that_nobody_loaded_cannot_be_saved(make: Make) -> None:
    changelog = await started(make())
    with pytest.raises(StateTakenError):
        await changelog.save("events/0", {"a": b"1"}, 1)


async def test_a_hundred_takeovers_and_saves_at_once(make: Make) -> None:
    """Scopes of both partitions, each saved and taken over by turns, at the same time."""
    workers = [await started(make()) for _ in range(2)]

    async def life(scope: int) -> None:
        state: dict[str, bytes] = {}
        for turn in range(12):
            owner = workers[(turn + scope) % 2]
            saved = await owner.load(f"events/{scope}", scope)
            assert saved == Saved(state, 10 * turn if turn else None)
            changes: dict[str, bytes | None] = {f"k{turn % 5}": f"{scope}/{turn}".encode(), f"k{(turn + 2) % 5}": None}
            await owner.save(f"events/{scope}", changes, 10 * turn + 5)
            await owner.save(f"events/{scope}", {"n": str(turn).encode()}, 10 * (turn + 1))
            state = {k: v for k, v in (state | changes | {"n": str(turn).encode()}).items() if v is not None}

    await asyncio.gather(*(life(scope) for scope in range(8)))
