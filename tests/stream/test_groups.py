"""One attack from twenty accounts, on several partitions and workers: one group, the same as in one process."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import msgspec
import pytest
from brokers import BrokerHandle
from world import World, sorted_findings

from detectors.finding import Finding
from monitor.event import Event
from replay.demo.workspace import shipped
from replay.labels import labels_path, read_labels
from tests.stream.conftest import SHORT_WINDOWS, in_process, records
from tests.stream.test_kill import settled
from tests.stream.test_scale_out import until_judged

ACCOUNTS = 20
#: Half of all clients attack here; an action refused in mid-run would end a diversion at a moment of the clock's.
NO_CAPS = {
    "mode": "enforce",
    "caps": {"max_client_share": 1.0, "max_active_blocks": 1000, "max_actions_per_hour": 1000},
}


@pytest.fixture(scope="session")
def spread(short_events: list[Event]) -> list[Event]:
    """The recording's HopSkipJump attackers, their queries dealt out; nobody else attacks."""
    attackers = read_labels(labels_path(Path(str(shipped("demo.jsonl.zst"))))).attackers()
    dealt, n = [], 0
    for event in short_events:
        name = attackers.get(event.client_id, (None, ""))[1]
        if name == "hopskipjump":
            n += 1
            event = msgspec.structs.replace(event, client_id=f"spread-{n * 7 % ACCOUNTS:02d}")
        if name in ("", "hopskipjump"):
            dealt.append(event)
    return dealt


@pytest.fixture(scope="session")
def expected_spread(short_baseline: Path, spread: list[Event]) -> list[Finding]:
    return in_process(short_baseline, spread, SHORT_WINDOWS).findings


def groups(findings: list[Finding]) -> list[Finding]:
    return [f for f in findings if f.subject.scope == "group"]


def test_the_group_is_found_with_its_members_and_nobody_else(expected_spread: list[Finding]) -> None:
    """By what lies close together, and by what began together."""
    accounts = {f"client:spread-{n:02d}" for n in range(ACCOUNTS)}
    for detector, share in (("groups", 0.8), ("joint", 0.2)):
        found = [f for f in groups(expected_spread) if f.detector == detector]
        assert len({f.subject.value for f in found}) == 1
        members = set(found[-1].subject.members)
        assert members <= accounts
        assert len(members) >= share * ACCOUNTS


@pytest.mark.parametrize(("workers", "partitions", "bands"), [(1, 3, None), (2, 4, 3), (4, 12, 1)])
def test_workers_and_partitions_change_no_group(
    broker: BrokerHandle,
    tmp_path: Path,
    short_baseline: Path,
    spread: list[Event],
    expected_spread: list[Finding],
    workers: int,
    partitions: int,
    bands: int | None,
) -> None:
    overrides = {"windows": SHORT_WINDOWS, "response": NO_CAPS}
    world = World(broker, tmp_path, short_baseline, partitions, overrides, bands=bands)
    with contextlib.ExitStack() as running:
        group = [running.enter_context(world.worker(n)) for n in range(workers)]
        world.until_shared(group)
        sent = world.play(records(spread))
        group[0].until_judged(sent)
        world.until_closed(group[0])
        settled(world)
    assert sorted_findings(world.findings()) == sorted_findings(expected_spread)


def test_a_killed_worker_loses_no_group(
    broker: BrokerHandle, tmp_path: Path, short_baseline: Path, spread: list[Event], expected_spread: list[Finding]
) -> None:
    """Killed between checkpoints, with fingerprints under way on every topic."""
    overrides = {"windows": SHORT_WINDOWS, "response": NO_CAPS, "stream": {"batch_events": 100}}
    world = World(broker, tmp_path, short_baseline, 4, overrides)
    worker = world.worker()
    traffic = records(spread)
    player = threading.Thread(target=world.play, args=(traffic, 2.0))
    with worker:
        worker.until_ready()
        player.start()
        for share in (1, 2):
            until_judged([worker], len(traffic) * share // 3)
            worker.kill()
            worker.start()
        player.join()
        worker.until_judged(len(traffic))
        world.until_closed(worker)
        settled(world)
    found = {f.id: f for f in groups(world.findings())}
    assert found == {f.id: f for f in groups(expected_spread)}
