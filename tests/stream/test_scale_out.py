"""Several workers of one group: the same findings as one, also while workers come, go and die."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

import pytest
from brokers import BrokerHandle
from world import World, sorted_findings

from monitor.event import Event
from replay.demo.worker import WorkerProcess
from replay.in_process import Outcome
from tests.stream.conftest import records
from tests.stream.test_kill import settled


def counted(verdicts: dict[str, int]) -> dict[str, int]:
    return {verdict: n for verdict, n in verdicts.items() if n}


def assert_as_undisturbed(world: World, verdicts: dict[str, int], expected: Outcome) -> None:
    """Findings equal, every event one verdict, no action twice."""
    assert sorted_findings(world.findings()) == sorted_findings(expected.findings)
    assert counted(verdicts) == counted(expected.verdicts)
    applied = world.times_applied()
    assert set(applied) == {d.id for d in expected.decisions}
    assert set(applied.values()) <= {0, 1}


def judged(workers: list[WorkerProcess]) -> int:
    """Events with a verdict, as whichever worker answers says: they share the data folder."""
    for worker in workers:
        with contextlib.suppress(Exception):
            if verdicts := worker.verdicts():
                return sum(verdicts.values())
    return 0


@pytest.mark.parametrize(("workers", "partitions"), [(2, 4), (4, 12)])
def test_workers_share_the_partitions_and_find_the_same(
    broker: BrokerHandle,
    tmp_path: Path,
    baseline: Path,
    events: list[Event],
    expected: Outcome,
    workers: int,
    partitions: int,
) -> None:
    """All are there before the first event; each owns some of the partitions, one of them responds."""
    world = World(broker, tmp_path, baseline, partitions)
    with contextlib.ExitStack() as running:
        group = [running.enter_context(world.worker(n)) for n in range(workers)]
        for worker in group:
            worker.until_ready()
        shares = world.until_shared(group)
        assert sorted(p for share in shares for p in share) == list(range(partitions))
        assert all(shares)
        sent = world.play(records(events))
        verdicts = group[-1].until_judged(sent)
        world.until_closed(group[-1])
        settled(world)
        reports = [worker.readiness() or {} for worker in group]
    assert sum(bool(report["responds"]) for report in reports) == 1
    assert_as_undisturbed(world, verdicts, expected)


def test_workers_restarted_one_after_the_other(
    broker: BrokerHandle, tmp_path: Path, baseline: Path, events: list[Event], expected: Outcome
) -> None:
    rolling_restart(World(broker, tmp_path, baseline, 4, {"stream": {"batch_events": 100}}), events, expected)


@pytest.mark.parametrize("broker", [pytest.param("embedded", marks=pytest.mark.embedded_broker)], indirect=True)
def test_the_same_with_local_state(
    broker: BrokerHandle, tmp_path: Path, baseline: Path, events: list[Event], expected: Outcome
) -> None:
    """Kafka keeps nothing of it, so one kind of broker is enough."""
    settings = {"stream": {"batch_events": 100, "state": "local"}}
    rolling_restart(World(broker, tmp_path, baseline, 4, settings), events, expected)


def rolling_restart(world: World, events: list[Event], expected: Outcome) -> None:
    """A rolling restart under traffic: a second worker joins, the first goes and comes back, then the second."""
    traffic = records(events)
    player = threading.Thread(target=world.play, args=(traffic, 30.0))
    first, second = group = [world.worker(0), world.worker(1)]
    with first:
        first.until_ready()
        player.start()
        until_judged(group, len(traffic) // 5)
        with second:
            second.until_ready()
            for worker, share in ((first, 2), (second, 3)):
                until_judged(group, len(traffic) * share // 5)
                assert worker.stop() == 0
                worker.start()
            player.join()
            verdicts = first.until_judged(len(traffic))
            world.until_closed(first)
            settled(world)
    assert_as_undisturbed(world, verdicts, expected)


def until_judged(group: list[WorkerProcess], wanted: int, timeout_s: float = 90.0) -> None:
    end = time.monotonic() + timeout_s
    while judged(group) < wanted:
        assert time.monotonic() < end, f"{judged(group)} of {wanted} events judged in {timeout_s:g} s"
        time.sleep(0.05)
