"""SIGKILL in mid-replay: the same findings, every event one verdict, each action once."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from brokers import Apache, BrokerHandle, topic_name
from world import World, sorted_findings

from monitor.event import Event
from replay.in_process import Outcome
from tests.stream.conftest import records

KILLS = 4


def test_killed_workers_change_nothing(
    broker: BrokerHandle, tmp_path: Path, baseline: Path, events: list[Event], expected: Outcome
) -> None:
    """Each kill comes once another fifth of the traffic has a verdict, while more is on its way."""
    world = World(broker, tmp_path, baseline, 4, {"stream": {"batch_events": 100}})
    traffic = records(events)
    player = threading.Thread(target=world.play, args=(traffic, 40.0))
    worker = world.worker()
    worker.start()
    player.start()
    try:
        for kill in range(1, KILLS + 1):
            wanted = len(traffic) * kill // (KILLS + 1)
            while sum(worker.verdicts().values()) < wanted:
                time.sleep(0.02)
            worker.kill()
            worker.start()
        player.join()
        verdicts = worker.until_judged(len(traffic))
        world.until_closed(worker)
        settled(world)
    finally:
        worker.stop()
        player.join()
    assert sorted_findings(world.findings()) == sorted_findings(expected.findings)
    assert {k: n for k, n in verdicts.items() if n} == {k: n for k, n in expected.verdicts.items() if n}
    applied = world.times_applied()
    assert set(applied) == {d.id for d in expected.decisions}
    assert set(applied.values()) <= {0, 1}
    blocklist = (world.data / "blocklist.txt").read_text().splitlines()
    addresses = [line.split()[0] for line in blocklist if line and not line.startswith("#")]
    assert len(addresses) == len(set(addresses)) > 0


@pytest.mark.kafka
def test_a_successor_does_not_wait_for_the_session_of_the_dead(
    own_apache: Apache, tmp_path: Path, baseline: Path
) -> None:
    """The session would outlast the test."""
    kafka = {"brokers": [own_apache.bootstrap], "group": topic_name("group"), "session_timeout_s": 90.0}
    world = World(own_apache, tmp_path, baseline, 4, {"kafka": kafka})
    with world.worker() as worker:
        world.until_shared([worker])
        worker.kill()
        worker.start()
        world.until_shared([worker])
    log = (tmp_path / "worker.log").read_text()
    assert "the last worker of this name has left the group" in log
    assert log.index("detectors are warm") < log.index("partitions assigned"), "no event waits for a compiler"


def settled(world: World) -> None:
    """Until no action is pending."""
    from responders.decision import Status
    from responders.ledger import Ledger

    ledger = Ledger(world.data / "vedette.db")
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if not any(r.status in (Status.PENDING, Status.APPLYING) for r in ledger.find(limit=100_000)):
            break
        time.sleep(0.05)
    ledger.close()
