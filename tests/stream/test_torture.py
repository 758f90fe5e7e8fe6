"""Workers killed, frozen, sent away and brought back at random, the broker too: nothing is lost, nothing is done twice.

``VEDETTE_TORTURE=full`` (``make torture``) asks for a hundred kills and ten restarts of the broker;
``VEDETTE_TORTURE_SEED`` repeats the choices of a run, though not its timing.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from brokers import Apache, BrokerHandle
from torture import Blow, Torture, seed
from world import World, sorted_findings

import replay.sender
from detectors.finding import Finding
from monitor.event import Event
from monitor.store import Store
from replay.in_process import Outcome
from responders.decision import ActionType, Status
from responders.ledger import Ledger
from responders.quarantine_store import REQUESTS
from tests.stream.conftest import in_process, records

FULL = os.environ.get("VEDETTE_TORTURE") == "full"


@dataclass(frozen=True)
class Dose:
    """Blows of each kind, and the traffic meanwhile: the demo's ten minutes so many times, so many times as fast."""

    kills: int
    leaves: int
    freezes: int
    restarts: int = 0
    loops: int = 1
    speed: float = 20.0

    def borne_by(self, broker: BrokerHandle) -> Dose:
        """The embedded broker gets kills instead of leaves: a group in which one leaves while another joins may never
        come together again there, whatever clients it has."""
        return self if broker.kind == "apache" else replace(self, kills=self.kills + self.leaves, leaves=0)

    def blows(self, choice: random.Random) -> list[Blow]:
        blows: list[Blow] = ["kill"] * self.kills + ["leave"] * self.leaves + ["freeze"] * self.freezes
        blows += ["broker down" if n % 2 else "broker killed" for n in range(self.restarts)]
        choice.shuffle(blows)
        return blows


KILLS = Dose(kills=100, leaves=12, freezes=8, loops=12, speed=9.0) if FULL else Dose(kills=4, leaves=1, freezes=1)
RESTARTS = Dose(kills=5, leaves=0, freezes=0, restarts=10, loops=4, speed=12.0) if FULL else Dose(1, 0, 0, restarts=2)


def tortured(state: str) -> dict[str, Any]:
    """Many checkpoints; no cap refuses an action: what a cap does depends on the hour."""
    return {
        "stream": {"batch_events": 50, "checkpoint_s": 0.2, "state": state, "overload": {"max_level": 0}},
        "response": {
            "mode": "enforce",
            "caps": {"max_active_blocks": 100_000, "max_client_share": 1.0, "max_actions_per_hour": 1_000_000},
        },
    }


def looped(events: list[Event], loops: int) -> list[Event]:
    """The recording again and again, later each time, with other clients and ids."""
    span_s = 60.0 * ((events[-1].ts - events[0].ts) // 60.0 + 2)
    return [
        e
        if n == 0
        else msgspec.structs.replace(
            e,
            id=f"{e.id}-{n}",
            ts=e.ts + n * span_s,
            client_id=e.client_id and f"{e.client_id}-{n}",
            client_ip=e.client_ip and _address(e.client_ip, n),
        )
        for n in range(loops)
        for e in events
    ]


def _address(ip: str, n: int) -> str:
    """Another one for each ``n`` up to 190; the recording's begin with 192 and above, or with 2001."""
    first = ip.replace(":", ".").split(".")[0]
    return f"{int(first) - n}{ip[len(first) :]}"


def test_workers_killed_frozen_and_sent_away(
    broker: BrokerHandle, tmp_path: Path, baseline: Path, events: list[Event]
) -> None:
    torture(World(broker, tmp_path, baseline, 4, tortured("changelog")), looped(events, KILLS.loops), KILLS)


@pytest.mark.parametrize("broker", [pytest.param("embedded", marks=pytest.mark.embedded_broker)], indirect=True)
def test_the_same_with_local_state(broker: BrokerHandle, tmp_path: Path, baseline: Path, events: list[Event]) -> None:
    torture(World(broker, tmp_path, baseline, 4, tortured("local")), looped(events, KILLS.loops), KILLS)


@pytest.mark.kafka
def test_broker_restarted(
    own_apache: Apache, tmp_path: Path, baseline: Path, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order and by SIGKILL, while workers are killed too. The player waits for the broker like everybody else."""
    monkeypatch.setattr(replay.sender, "DELIVERY_TIMEOUT_S", 600.0)
    world = World(own_apache, tmp_path, baseline, 4, tortured("changelog"))
    torture(world, looped(events, RESTARTS.loops), RESTARTS)


def torture(world: World, events: list[Event], dose: Dose) -> None:
    """Two workers on four partitions suffer the dose; then everything is as if nothing had happened."""
    dose, expected = dose.borne_by(world.broker), in_process(world.baseline, events)
    number = seed()
    choice = random.Random(number)
    store = Store(world.data / "vedette.db")

    def saved() -> int:
        return sum(store.verdicts().values())

    def restart_broker(hard: bool) -> None:
        assert isinstance(world.broker, Apache)
        world.broker.restart(hard=hard)

    workers = [world.worker(n) for n in range(2)]
    frozen_s = world.settings.kafka.session_timeout_s + 3.0
    tormented = Torture(workers, choice, saved, len(events), frozen_s, restart_broker, say)
    say(f"\nVEDETTE_TORTURE_SEED={number}, {len(events)} events, {dose}, {world.broker.kind}")
    with ThreadPoolExecutor(1) as thread:
        try:
            played = thread.submit(world.play, records(events), dose.speed)
            tormented.until(lambda: saved() > 0 or played.done(), "at work")
            tormented.inflict(dose.blows(choice))
            say("all traffic is sent" if played.done() else "traffic goes on")
            tormented.until(played.done, "sent, all traffic", timeout_s=900.0)
            sent = played.result()
            tormented.until(lambda: saved() >= sent, "judged, all events")
            tormented.until(lambda: closed(world, store), "closed, all windows")
            once = told_apart(expected.verdicts).total()
            tormented.until(
                lambda: told_apart(store.verdicts()).total() >= once, "judged, all events but repeated ones"
            )
            tormented.until(lambda: not pending(world), "done, all actions")
            tormented.until(lambda: not store.unpublished(limit=1), "published, all findings")
            verdicts = store.verdicts()
        finally:
            tormented.end()
            store.close()
    say(f"unasked ends by exit code: {dict(tormented.crashes)}; asked: {dict(tormented.leaves)}; {verdicts}")
    assert set(tormented.leaves) <= {0, -signal.SIGTERM}  # the latter if it was asked before it could listen
    assert_as_undisturbed(world, verdicts, expected)


def say(text: str) -> None:
    """Progress, for ``pytest -s`` and for the report of a failure."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def told_apart(verdicts: dict[str, int]) -> Counter[str]:
    """Without the records that the player had to send again."""
    return Counter({verdict: n for verdict, n in verdicts.items() if n and verdict != "duplicate"})


def closed(world: World, store: Store) -> bool:
    reached = [ts for scope, ts in store.reached().items() if scope.startswith("windows/")]
    return bool(reached) and min(reached) >= world.windows_end_ts


def pending(world: World) -> bool:
    ledger = Ledger(world.data / "vedette.db")
    try:
        return any(r.status in (Status.PENDING, Status.APPLYING) for r in ledger.find(limit=100_000))
    finally:
        ledger.close()


def assert_as_undisturbed(world: World, verdicts: dict[str, int], expected: Outcome) -> None:
    """Findings, verdicts, actions, the quarantine, the findings topic, the alerts file."""
    assert sorted_findings(world.findings()) == sorted_findings(expected.findings)
    assert told_apart(verdicts) == told_apart(expected.verdicts)
    applied = world.times_applied()
    assert set(applied) == {d.id for d in expected.decisions}
    assert set(applied.values()) <= {0, 1}
    assert sorted(blocked(world)) == sorted(in_force(world, ActionType.BLOCK_IP))
    kept = [msgspec.json.decode(line)["id"] for line in quarantined(world)]
    assert len(kept) == len(set(kept)) == expected.verdicts["diverted"]
    ids = {f.id for f in expected.findings}
    topic = world.topic_records(world.settings.topics.findings.name, enough=1_000_000, timeout_s=3.0)
    assert {msgspec.json.decode(r.value, type=Finding).id for r in topic} == ids
    alerts = [msgspec.json.decode(line)["id"] for line in (world.folder / "alerts.jsonl").read_bytes().splitlines()]
    assert sorted(alerts) == sorted(ids)


def blocked(world: World) -> list[str]:
    lines = (world.data / "blocklist.txt").read_text().splitlines()
    return [line.split()[0] for line in lines if line and not line.startswith("#")]


def in_force(world: World, kind: ActionType) -> set[str]:
    ledger = Ledger(world.data / "vedette.db")
    try:
        return {r.decision.value for r in ledger.find(kind=kind, status=Status.APPLIED, limit=100_000)}
    finally:
        ledger.close()


def quarantined(world: World) -> list[bytes]:
    files = (world.data / "quarantine").glob(f"*/{REQUESTS}")
    return [line for file in files for line in file.read_bytes().splitlines()]
