"""The order of writes: a crash between any two of them loses nothing and repeats nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from monitor.codec import encode_json
from monitor.event import Event
from monitor.intake import Record
from monitor.metrics import Metrics
from monitor.runtime import Runtime
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
    """What outlives a process; ``runtime`` is a new process on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store, self.ledger = Store(folder / "vedette.db"), Ledger(folder / "vedette.db")
        self.calls: list[str] = []
        self.crash: Callable[[int], None] = lambda _: None

    def runtime(self) -> Runtime:
        quarantine = QuarantineStore(self.folder / "quarantine")
        whole = core()
        runtime = Runtime(
            whole,
            self._watched(self.store, "note", "commit"),
            self._watched(self.ledger, "record"),
            self._watched(quarantine, "store"),
            Metrics(),
            clock=lambda: EVENTS[-1].ts,
        )
        runtime.assign("t", [0])
        return runtime

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


def feed(runtime: Runtime) -> None:
    """All records from the start, as a broker may send them; what is done is skipped."""
    all_records = records(EVENTS)
    for begin in range(0, len(all_records), STEP):
        runtime.commit(runtime.take(all_records[begin : begin + STEP]))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[object, ...], list[str]]:
    """Outcome and writes of a run without a crash."""
    disk = Disk(tmp_path_factory.mktemp("whole"))
    feed(disk.runtime())
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
    order = {"store": 0, "note": 1, "record": 2, "commit": 3}
    step: list[int] = []
    for call in whole[1]:
        step.append(order[call])
        if call == "commit":
            assert step == sorted(step)
            step = []
    assert set(whole[1]) == set(order)
    assert not step


def test_a_crash_before_or_after_any_write_changes_nothing(
    whole: tuple[tuple[object, ...], list[str]], tmp_path: Path
) -> None:
    outcome, calls = whole
    first = {kind: calls.index(kind) for kind in ("store", "note", "record", "commit")}
    points = sorted({2 * at + side for at in (*first.values(), len(calls) - 1) for side in (1, 2)})
    for point in points:
        disk = Disk(tmp_path / str(point))

        def crash(now: int, point: int = point) -> None:
            if now == point:
                raise CrashError

        disk.crash = crash
        with pytest.raises(CrashError):
            feed(disk.runtime())
        disk.crash = lambda _: None
        feed(disk.runtime())
        assert disk.outcome() == outcome, point
        disk.close()


def test_dead_letters_are_counted_with_the_offsets_that_cover_them(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    runtime = disk.runtime()
    feed_ = [Record("t", 0, 0, None, b"no event"), Record("t", 0, 1, None, None)]
    runs = runtime.take(feed_)
    runtime.commit(runs)
    assert disk.store.verdicts() == {"dead_letter": 2}
    assert runtime.take(feed_) == []
    assert disk.runtime().next_offset("t", 0) == 2
    disk.close()


def test_addresses_are_counted_by_client(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    runtime = disk.runtime()
    shared = [
        msgspec.structs.replace(e, id=f"s{i}", client_id=f"c{i % 3}", client_ip="192.0.2.77")
        for i, e in enumerate(EVENTS[:9])
    ]
    runtime.commit(runtime.take(records(shared)))
    assert disk.store.clients_of("192.0.2.77") == 3
    assert disk.store.clients_of("192.0.2.78") == 0
    disk.close()


def test_records_of_a_partition_that_was_taken_away_are_left_to_its_new_owner(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    runtime = disk.runtime()
    runtime.assign("t", [0, 1])
    runs = runtime.take([*records(EVENTS[:5]), *records(EVENTS[:5], partition=1)])
    runtime.assign("t", [0])
    runtime.commit(runs)
    assert disk.store.next_offset("t", 0) == 5
    assert disk.store.next_offset("t", 1) == 0
    assert sum(disk.store.verdicts().values()) == 5
    disk.close()


def test_a_release_outlives_the_process_once_it_is_checkpointed(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    runtime = disk.runtime()
    feed(runtime)
    scope = "partition/0"
    held = [key for key in disk.store.state(scope) if key.startswith("divert/")]
    assert held
    model, client = held[0].removeprefix("divert/").split("\x1f")
    runtime.release(model, client)
    runtime.commit([])
    assert held[0] not in disk.store.state(scope)
    assert np.isfinite(disk.runtime().engine.partitions[0].watermark)
    disk.close()
