"""Workers that share a data folder: one of them responds for all, and another when it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from detectors.finding import Finding
from monitor.codec import encode_json
from monitor.core import Core
from monitor.event import Event
from monitor.intake import Record
from monitor.service import Service
from tests.monitor.small_core import baseline, core, traffic

EVENTS = traffic(1)
HALF = len(EVENTS) // 2
TIMEOUT_S = 30.0


class Clock:
    def __init__(self) -> None:
        self.now = EVENTS[-1].ts

    def __call__(self) -> float:
        return self.now


class Worker:
    """One service and its tasks, as the app runs them; ``published`` is the findings topic."""

    def __init__(self, folder: Path, clock: Clock, partition: int = 0) -> None:
        settings = msgspec.structs.replace(
            core().settings, data_dir=str(folder), alerts_file=str(folder / "alerts.jsonl")
        )
        self.service = Service(Core(settings, baseline()), clock)
        self.published: list[Finding] = []
        self._partition = partition
        self._next = 0
        self._pipeline = self.service.runtime.pipeline(partition, {})
        self._tasks: list[asyncio.Task[None]] = []

    def run(self) -> None:
        coroutines = (self.service.respond(lambda *_: None), self.service.deliver(), self._publish())
        self._tasks = [asyncio.create_task(c) for c in coroutines]

    async def judge(self, events: Sequence[Event]) -> list[Finding]:
        """What is found and written down."""
        batch = [Record("t", self._partition, self._next + n, b"k", encode_json(e)) for n, e in enumerate(events)]
        taken = self.service.runtime.take(self._pipeline, "t", self._partition, batch, self._next)
        self._next = taken.next_offset
        result = self.service.runtime.judge(self._pipeline, taken)
        await asyncio.gather(*self.service.said(result))
        return result.findings

    @property
    def responds(self) -> bool:
        return bool(self.service.readiness(rebalancing=False, loading=0)["responds"])

    async def stop(self) -> None:
        """As SIGTERM: everything ends by itself."""
        await self.service.stop(lambda *_: None)
        async with asyncio.timeout(TIMEOUT_S):
            await asyncio.gather(*self._tasks)
        self.service.close()

    async def die(self) -> None:
        """As SIGKILL: nothing more is done, and the kernel lets go of its locks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.service.close()

    async def _publish(self) -> None:
        await self.service.publisher.run(self._send)

    async def _send(self, findings: Sequence[Finding]) -> Awaitable[object]:
        self.published += findings
        return asyncio.sleep(0)


@contextlib.asynccontextmanager
async def workers(folder: Path, clock: Clock, n: int = 2) -> AsyncIterator[list[Worker]]:
    """They are started one after the other; the first responds."""
    group = [Worker(folder, clock, partition) for partition in range(n)]
    group[0].run()
    await until(lambda: group[0].responds)
    for worker in group[1:]:
        worker.run()
    yield group


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110 -- looks at a SQLite file, which tells nobody
            await asyncio.sleep(0.01)


def ids(findings: Sequence[Finding]) -> list[str]:
    return sorted(f.id for f in findings)


def alerts(folder: Path) -> list[Finding]:
    path = folder / "alerts.jsonl"
    data = path.read_bytes() if path.exists() else b""
    assert data.endswith(b"\n") or not data
    return [msgspec.json.decode(line, type=Finding) for line in data.splitlines()]


async def test_one_responds_and_the_other_takes_its_place(tmp_path: Path) -> None:
    async with workers(tmp_path, Clock()) as (first, second):
        assert not second.responds
        await first.die()
        await until(lambda: second.responds)
        await second.stop()


async def test_each_worker_publishes_what_it_found(tmp_path: Path) -> None:
    async with workers(tmp_path, Clock()) as (first, second):
        mine, theirs = await first.judge(EVENTS[:HALF]), await second.judge(EVENTS[HALF:])
        assert mine
        assert theirs
        await until(lambda: not first.service.store.unpublished())
        assert (ids(first.published), ids(second.published)) == (ids(mine), ids(theirs))
        await second.stop()
        await first.stop()


async def test_the_responder_publishes_what_a_dead_worker_left(tmp_path: Path) -> None:
    """Not before it is overdue: the finder may only be slow."""
    clock = Clock()
    async with workers(tmp_path, clock) as (responder, other):
        await other.die()
        late = Worker(tmp_path, clock, 1)  # finds, and dies before it publishes
        left = await late.judge(EVENTS)
        await late.die()
        store = responder.service.store
        # it has looked at all that is new since
        await until(lambda: ids(alerts(tmp_path)) == ids(left))
        assert ids(store.unpublished()) == ids(left)
        assert responder.published == []
        clock.now += 60.0
        await until(lambda: not store.unpublished())
        assert ids(responder.published) == ids(left)
        await responder.stop()


async def test_the_alerts_file_is_whole_whoever_writes_it(tmp_path: Path) -> None:
    """Findings of both workers, each once, though the responder dies on the way."""
    async with workers(tmp_path, Clock()) as (first, second):
        found = await first.judge(EVENTS[:HALF])
        await until(lambda: ids(alerts(tmp_path)) == ids(found))
        await first.die()
        path = tmp_path / "alerts.jsonl"
        path.write_bytes(path.read_bytes()[:-30])  # it was in the middle of a line
        found += await second.judge(EVENTS[HALF:])
        await until(lambda: second.responds and path.read_bytes().endswith(b"\n"))
        await second.stop()
    assert ids(alerts(tmp_path)) == ids(found)
    assert set(Counter(ids(found)).values()) == {1}


async def test_incidents_of_every_worker_are_reported(tmp_path: Path) -> None:
    """By the responder; also as they are after they have changed, and with what was done about them."""
    async with workers(tmp_path, Clock()) as (first, second):
        await second.judge(EVENTS)
        store = first.service.store
        incidents = {incident.id: incident for incident, _ in store.incidents()}
        assert incidents
        reports = {i: tmp_path / "incidents" / f"{i}.json" for i in incidents}
        await until(lambda: all(report.exists() for report in reports.values()))
        await until(lambda: all(b'"applied"' in report.read_bytes() for report in reports.values()))
        marked = next(iter(incidents))
        assert store.mark(marked, "false_positive", "an operator")
        await until(lambda: b'"false_positive"' in reports[marked].read_bytes())
        await second.stop()
        await first.stop()
    for i, report in reports.items():
        assert msgspec.json.decode(report.read_bytes())["incident"]["revision"] == incidents[i].revision


async def test_judging_goes_on_while_another_process_holds_the_database(tmp_path: Path) -> None:
    """Nothing is published that is not written down; nothing else waits for it."""
    worker = Worker(tmp_path, Clock())
    worker.run()
    await until(lambda: worker.responds)
    with contextlib.closing(sqlite3.connect(tmp_path / "vedette.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        half = asyncio.create_task(worker.judge(EVENTS[:HALF]))
        rest = asyncio.create_task(worker.judge(EVENTS[HALF:]))
        for _ in range(100):
            await asyncio.sleep(0)  # by then the loop would stand still if it waited for the lock
        assert not half.done()
        assert not worker.published
        other.execute("ROLLBACK")
    found = [*await half, *await rest]
    await until(lambda: len(worker.published) == len(found))
    assert ids(worker.service.store.findings()) == ids(worker.published) == ids(found)
    await worker.stop()


async def test_what_fails_for_a_while_is_made_up_for(tmp_path: Path) -> None:
    """Neither the alerts file nor a report can be written at first; detection goes on, the metric counts."""
    blocked = tmp_path / "alerts.jsonl"
    blocked.mkdir()
    worker = Worker(tmp_path, Clock())
    failures = worker.service.metrics.response_failures
    worker.run()
    found = await worker.judge(EVENTS)
    await until(lambda: failures.collect()[0].samples[0].value > 0)
    assert ids(worker.service.store.findings()) == ids(found)
    blocked.rmdir()
    report = tmp_path / "incidents" / f"{worker.service.store.incidents()[0][0].id}.json"
    await until(lambda: report.exists() and blocked.exists())
    await worker.stop()
    assert ids(alerts(tmp_path)) == ids(found)


@pytest.mark.parametrize("responds", [True, False])
async def test_stopping_ends_everything_and_may_come_twice(tmp_path: Path, *, responds: bool) -> None:
    async with workers(tmp_path, Clock()) as (first, second):
        worker, other = (first, second) if responds else (second, first)
        worker.service.ready([0, 1])
        assert worker.service.readiness(rebalancing=False, loading=0)["ready"]
        assert not worker.service.readiness(rebalancing=True, loading=0)["ready"]
        assert not worker.service.readiness(rebalancing=False, loading=1)["ready"]
        found = await worker.judge(EVENTS)
        await worker.service.stop(lambda *_: None)
        assert not worker.service.readiness(rebalancing=False, loading=0)["ready"]
        await worker.stop()
        await until(lambda: other.responds)
        await until(lambda: ids(alerts(tmp_path)) == ids(found))
        await other.stop()
