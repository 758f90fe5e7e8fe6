"""The publisher: each finding at least once, in order, none behind the arrival of another."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any

import msgspec
import pytest

from detectors.finding import Finding
from monitor.publisher import Publisher
from monitor.writer import Writer
from tests.makers import finding


def numbered(*numbers: int) -> list[Finding]:
    return [msgspec.structs.replace(finding(), id=str(n)) for n in numbers]


class Store:
    """In the place of the database: ``left``, which nobody has published, by id."""

    def __init__(self) -> None:
        self.left: dict[str, Finding] = {}
        self.marked: list[str] = []

    def unpublished(self, noted_before: float = float("inf"), limit: int = 500) -> list[Finding]:
        return [*self.left.values()][:limit]

    def published(self, ids: Iterable[str]) -> None:
        for one in ids:
            self.marked.append(one)
            self.left.pop(one, None)


class AtOnce(Writer):
    """Whoever puts something finds it done."""

    def put(self, write: Callable[..., Any], *args: Any, **more: Any) -> asyncio.Future[Any]:
        done = asyncio.get_running_loop().create_future()
        done.set_result(write(*args, **more))
        return done


class Topic:
    """Remembers what was sent; each batch arrives when it is told to."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.arrivals: list[asyncio.Future[None]] = []

    async def send(self, findings: Sequence[Finding]) -> Awaitable[object]:
        self.sent += [f.id for f in findings]
        self.arrivals.append(asyncio.get_running_loop().create_future())
        return self.arrivals[-1]


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[tuple[Publisher, Store, Topic, asyncio.Task[None]]]:
    store, topic = Store(), Topic()
    publisher = Publisher(store, AtOnce(), lambda: 0.0)
    task = asyncio.create_task(publisher.run(topic.send))
    await turns()
    yield publisher, store, topic, task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def turns() -> None:
    """As many as anything here can need."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_findings_do_not_wait_for_those_before_them_to_arrive() -> None:
    async with running() as (publisher, store, topic, _):
        for n in range(3):
            publisher.found(numbered(n))
            await turns()
        assert topic.sent == ["0", "1", "2"]
        topic.arrivals[1].set_result(None)
        await turns()
        assert store.marked == ["1"]  # the others have not arrived


async def test_so_many_are_under_way_and_no_more() -> None:
    async with running() as (publisher, _, topic, _):
        for n in range(40):
            publisher.found(numbered(n))
            await turns()
        assert topic.sent == [str(n) for n in range(16)]
        topic.arrivals[3].set_result(None)
        await turns()
        assert topic.sent == [str(n) for n in range(40)]  # what waited goes together
        assert len(topic.arrivals) == 17


async def test_what_another_left_behind_is_sent_once_when_nothing_is_under_way() -> None:
    async with running() as (publisher, store, topic, _):
        store.left = {f.id: f for f in numbered(7, 8)}
        await turns()
        assert topic.sent == []  # it may be another's, who is only slow: the responder says when to look
        publisher.found(numbered(1))
        await turns()
        await publisher.look()
        await turns()
        assert topic.sent == ["1"]
        topic.arrivals[0].set_result(None)
        await turns()
        await publisher.look()  # not marked yet, but under way
        await turns()
        assert topic.sent == ["1", "7", "8"]
        topic.arrivals[1].set_result(None)
        await turns()
        assert (topic.sent, store.left) == (["1", "7", "8"], {})


async def test_what_a_send_raises_is_raised() -> None:
    async with running() as (publisher, store, topic, task):
        publisher.found(numbered(1))
        await turns()
        topic.arrivals[0].set_exception(ConnectionError("gone"))
        with pytest.raises(ConnectionError, match="gone"):
            await task
        assert store.marked == []


async def test_it_ends_when_what_was_sent_has_arrived() -> None:
    async with running() as (publisher, store, topic, task):
        publisher.found(numbered(1))
        await turns()
        publisher.stop()
        await turns()
        assert not task.done()
        topic.arrivals[0].set_result(None)
        await task
        assert store.marked == ["1"]
