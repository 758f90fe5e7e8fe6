"""What a worker cannot go on with ends it, so that its supervisor starts it again: it never hangs, never goes past."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest
from brokers import Apache, BrokerHandle
from world import World

from monitor.event import Event
from monitor.kafka_connect import admin_client
from replay.demo.worker import WorkerProcess
from tests.stream.conftest import records

ATTACKER = "client:acct-31"


def until_ended(worker: WorkerProcess, timeout_s: float = 90.0) -> int:
    """Its exit code."""
    end_s = time.monotonic() + timeout_s
    while (code := worker.exit_code) is None:
        assert time.monotonic() < end_s, f"the worker still runs after {timeout_s:g} s"
        time.sleep(0.05)
    return code


def few(events: list[Event]) -> list[Event]:
    return [e for e in events if e.client == ATTACKER][:400]


@pytest.mark.parametrize("broker", [pytest.param("embedded", marks=pytest.mark.embedded_broker)], indirect=True)
def test_state_that_cannot_be_saved_ends_the_worker(
    broker: BrokerHandle, tmp_path: Path, baseline: Path, events: list[Event]
) -> None:
    """And when it can be saved again, the next start goes on with nothing lost."""
    world = World(broker, tmp_path, baseline, 2, {"stream": {"state": "local"}})
    mine = few(events)
    with world.worker() as worker:
        worker.until_judged(world.play(records(mine[:200])))
        with sqlite3.connect(world.data / "vedette.db") as db:
            db.execute("ALTER TABLE state RENAME TO state_away")
        db.close()
        world.play(records(mine[200:]))
        assert until_ended(worker) not in (0, None)
        with sqlite3.connect(world.data / "vedette.db") as db:
            db.execute("ALTER TABLE state_away RENAME TO state")
        db.close()
        worker.start()
        assert sum(worker.until_judged(len(mine)).values()) == len(mine)


@pytest.mark.kafka
def test_a_state_topic_that_is_gone_ends_the_worker(
    own_apache: Apache, tmp_path: Path, baseline: Path, events: list[Event]
) -> None:
    world = World(own_apache, tmp_path, baseline, 2)
    mine = few(events)
    with world.worker() as worker:
        worker.until_judged(world.play(records(mine[:200])))
        with admin_client(own_apache.kafka) as admin:
            admin.delete_topics([world.settings.topics.state.name])
        world.play(records(mine[200:]))
        assert until_ended(worker) not in (0, None)
