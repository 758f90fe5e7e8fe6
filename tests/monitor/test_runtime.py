"""The order of writes: a crash between any two of them loses nothing and repeats nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from monitor.codec import encode_json
from monitor.event import Event
from monitor.intake import Record
from monitor.lanes import Ackable, Lane
from monitor.local_state import LocalState
from monitor.metrics import Metrics
from monitor.pipeline import PartitionPipeline
from monitor.runtime import Runtime
from monitor.state import StateTakenError
from monitor.store import Store
from responders.ledger import Ledger
from responders.quarantine_store import REQUESTS, QuarantineStore
from tests.monitor.small_core import Seen, core, run, traffic

EVENTS = [msgspec.structs.replace(e, client_ip=e.client_ip or "192.0.2.1") for e in traffic(1)]
STEP = 20


class CrashError(Exception):
    """The process died here."""


def records(events: Sequence[Event], partition: int = 0) -> list[Record]:
    return [Record("t", partition, i, b"k", encode_json(e)) for i, e in enumerate(events)]


class Disk:
    """What outlives a process; ``process`` is a new process on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store, self.ledger = Store(folder / "vedette.db"), Ledger(folder / "vedette.db")
        self.calls: list[str] = []
        self.crash: Callable[[int], None] = lambda _: None

    def process(self) -> Process:
        quarantine = QuarantineStore(self.folder / "quarantine")
        runtime = Runtime(
            core(),
            self._watched(self.store, "note"),
            self._watched(self.ledger, "record"),
            self._watched(quarantine, "store"),
            Metrics(),
            clock=lambda: EVENTS[-1].ts,
        )
        return Process(self, runtime, LocalState(self._watched(self.store, "save_state")))

    def _watched(self, real: Any, *names: str) -> Any:
        """The real thing, which may die before and after each of its named methods."""
        disk = self

        class Watched:
            def __getattr__(self, name: str) -> Any:
                method = getattr(real, name)
                if name not in names:
                    return method

                def watched(*args: Any, **more: Any) -> Any:
                    disk.calls.append(name)
                    disk.crash(2 * len(disk.calls) - 1)
                    done = method(*args, **more)
                    disk.crash(2 * len(disk.calls))
                    return done

                return watched

        return Watched()

    def requests(self) -> list[str]:
        """Ids in the quarantine, every line of it."""
        lines = [line for f in self.folder.glob(f"quarantine/*/{REQUESTS}") for line in f.read_bytes().splitlines()]
        return sorted(msgspec.json.decode(line)["id"] for line in lines)

    def outcome(self) -> tuple[object, ...]:
        decisions = sorted((r.decision for r in self.ledger.find(limit=10_000)), key=lambda d: d.id)
        incidents = {incident.id: incident for incident, _ in self.store.incidents()}
        return self.store.findings(), incidents, decisions, self.store.verdicts(), self.requests()

    def close(self) -> None:
        self.store.close()
        self.ledger.close()


class Acks:
    """Stands for a batch of the consumer; remembers what may be committed."""

    def __init__(self) -> None:
        self.upto: list[int] = []

    def batch(self, next_offset: int) -> Ackable:
        upto = self.upto

        class Batch:
            def ack(self) -> None:
                upto.append(next_offset)

        return Batch()


class Process:
    """One partition's lane in one process."""

    def __init__(self, disk: Disk, runtime: Runtime, states: LocalState) -> None:
        self._disk, self._runtime, self._states = disk, runtime, states
        self.acks = Acks()

    async def start(self) -> Process:
        saved = await self._states.load("events/0", 0)
        self.lane = Lane("events/0", 0, self._runtime.pipeline(0, saved.values), saved.next_offset or 0)
        return self

    async def read(self, batch: Sequence[Record]) -> None:
        taken = self._runtime.take(self.lane.state, "t", 0, batch, self.lane.next_offset)
        self._runtime.write(self._runtime.judge(self.lane.state, taken))
        self.lane.cover(self.acks.batch(taken.next_offset), taken.next_offset)
        await self.save()

    async def save(self) -> None:
        await self.lane.checkpoint(self._states)
        self._disk.store.reach("events/0", dict(self.lane.state.verdicts), self.lane.state.watermark)


async def feed(disk: Disk) -> Process:
    """All records from the start, as a broker may send them; what is done is skipped."""
    process = await disk.process().start()
    all_records = records(EVENTS)
    for begin in range(0, len(all_records), STEP):
        await process.read(all_records[begin : begin + STEP])
    return process


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[object, ...], list[str]]:
    """Outcome and writes of a run without a crash."""
    disk = Disk(tmp_path_factory.mktemp("whole"))
    asyncio.run(feed(disk))
    outcome = disk.outcome()
    disk.close()
    return outcome, disk.calls


def test_it_says_what_the_engine_says(whole: tuple[tuple[object, ...], list[str]]) -> None:
    said: Seen = run(core(), EVENTS)
    findings, incidents, decisions, verdicts, requests = whole[0]
    assert findings == said.findings
    assert incidents == said.incidents
    assert decisions == said.decisions
    assert verdicts == said.verdicts
    assert requests == sorted({e for _, e, _ in said.diverted}) != []


def test_writes_come_in_the_order_that_a_crash_needs(whole: tuple[tuple[object, ...], list[str]]) -> None:
    order = {"store": 0, "note": 1, "record": 2, "save_state": 3}
    step: list[int] = []
    for call in whole[1]:
        step.append(order[call])
        if call == "save_state":
            assert step == sorted(step)
            step = []
    assert set(whole[1]) == set(order)
    assert not step


async def test_a_crash_before_or_after_any_write_changes_nothing(
    whole: tuple[tuple[object, ...], list[str]], tmp_path: Path
) -> None:
    outcome, calls = whole
    first = {kind: calls.index(kind) for kind in ("store", "note", "record", "save_state")}
    points = sorted({2 * at + side for at in (*first.values(), len(calls) - 1) for side in (1, 2)})
    for point in points:
        disk = Disk(tmp_path / str(point))

        def crash(now: int, point: int = point) -> None:
            if now == point:
                raise CrashError

        disk.crash = crash
        with pytest.raises(CrashError):
            await feed(disk)
        disk.crash = lambda _: None
        await feed(disk)
        assert disk.outcome() == outcome, point
        disk.close()


async def test_records_are_acknowledged_only_when_the_state_that_covers_them_is_saved(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    process = await disk.process().start()
    await process.read(records(EVENTS)[:STEP])
    assert process.acks.upto == [STEP]

    def crash(_: int) -> None:
        raise CrashError

    disk.crash = crash
    with pytest.raises(CrashError):
        await process.read(records(EVENTS)[STEP : 2 * STEP])
    assert process.acks.upto == [STEP]
    disk.crash = lambda _: None
    assert (await disk.process().start()).lane.next_offset == STEP
    disk.close()


async def test_a_checkpoint_waits_for_what_was_sent(tmp_path: Path) -> None:
    """Dead letters and shares of windows must have arrived; if they cannot, nothing is acknowledged."""
    disk = Disk(tmp_path)
    process = await disk.process().start()
    arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    process.lane.await_before_saving([arrived])
    reading = asyncio.create_task(process.read(records(EVENTS)[:STEP]))
    await asyncio.sleep(0)
    assert process.acks.upto == []
    arrived.set_result(None)
    await reading
    assert process.acks.upto == [STEP]
    refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    refused.set_exception(OSError("refused"))
    process.lane.await_before_saving([refused])
    with pytest.raises(OSError, match="refused"):
        await process.read(records(EVENTS)[STEP : 2 * STEP])
    assert process.acks.upto == [STEP]
    disk.close()


async def test_dead_letters_are_counted_with_the_offsets_that_cover_them(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    process = await disk.process().start()
    hostile = [Record("t", 0, 0, None, b"no event"), Record("t", 0, 1, None, None)]
    await process.read(hostile)
    assert disk.store.verdicts() == {"dead_letter": 2}
    again = await disk.process().start()
    assert again.lane.next_offset == 2
    await again.read(hostile)
    assert disk.store.verdicts() == {"dead_letter": 2}
    disk.close()


async def test_addresses_are_counted_by_client(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    process = await disk.process().start()
    shared = [
        msgspec.structs.replace(e, id=f"s{i}", client_id=f"c{i % 3}", client_ip="192.0.2.77")
        for i, e in enumerate(EVENTS[:9])
    ]
    await process.read(records(shared))
    assert disk.store.clients_of("192.0.2.77") == 3
    assert disk.store.clients_of("192.0.2.78") == 0
    disk.close()


async def test_who_has_lost_a_partition_cannot_save_it(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    old = await disk.process().start()
    await old.read(records(EVENTS)[:STEP])
    new = await disk.process().start()
    with pytest.raises(StateTakenError):
        await old.read(records(EVENTS)[STEP : 2 * STEP])
    assert old.acks.upto == [STEP]
    await new.read(records(EVENTS)[STEP : 2 * STEP])
    assert new.acks.upto == [2 * STEP]
    disk.close()


async def test_a_release_outlives_the_process_once_it_is_checkpointed(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    process = await feed(disk)
    saved = (await LocalState(disk.store).load("events/0", 0)).values
    held = [key for key in saved if key.startswith("divert/")]
    assert held
    model, client = held[0].removeprefix("divert/").split("\x1f")
    process = await disk.process().start()
    assert process.lane.state.release(model, client)
    assert not process.lane.state.release(model, client)
    process.lane.dirty = True
    await process.save()
    assert held[0] not in (await LocalState(disk.store).load("events/0", 0)).values
    disk.close()


async def test_a_step_that_spans_hours_is_followed_by_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swept: list[float] = []
    monkeypatch.setattr(PartitionPipeline, "sweep", lambda pipeline: swept.append(pipeline.watermark))
    ttl_s = core().settings.clients.ttl_s
    old = [msgspec.structs.replace(e, ts=e.ts - ttl_s) for e in EVENTS[:STEP]]
    disk = Disk(tmp_path)
    process = await disk.process().start()
    for batch in (old, EVENTS[:STEP], EVENTS[STEP : STEP + 1]):
        await process.read(
            [Record("t", 0, process.lane.next_offset + r.offset, r.key, r.value) for r in records(batch)]
        )
    assert swept == [max(e.ts for e in EVENTS[:STEP])]
    disk.close()
