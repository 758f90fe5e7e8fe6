"""``vedette record`` and ``vedette replay --broker`` against a real broker and worker."""

from __future__ import annotations

from pathlib import Path

import msgspec
from brokers import BrokerHandle
from command_line import vedette
from world import World, sorted_findings

from monitor.event import Event
from replay.alerts import read_alerts
from replay.demo.workspace import shipped
from replay.in_process import Outcome
from replay.recording import read_recording


def test_a_recording_sent_to_a_worker_gives_the_same_alerts_and_can_be_recorded_again(
    broker: BrokerHandle, tmp_path: Path, baseline: Path, events: list[Event], expected: Outcome
) -> None:
    world = World(broker, tmp_path / "world", baseline, 4)
    alerts, again = tmp_path / "alerts.jsonl", tmp_path / "again.jsonl.zst"
    with world.worker() as worker:
        worker.until_ready()
        sent = vedette(
            *("replay", str(shipped("demo.jsonl.zst")), "--broker", broker.bootstrap, "--config", str(world.config)),
            *("--alerts", str(alerts), "--quiet-s", "5"),
        )
    assert sent.code == 0, sent.err
    assert f"{len(events)} records sent" in sent.words
    assert sorted_findings(read_alerts(alerts)) == sorted_findings(expected.findings)

    recorded = vedette("record", str(again), "--config", str(world.config), "--events", str(len(events)))
    assert recorded.code == 0, recorded.err
    copies = [msgspec.json.encode((e.id, e.ts, e.client)) for e in read_recording(again) if isinstance(e, Event)]
    assert sorted(copies) == sorted(msgspec.json.encode((e.id, e.ts, e.client)) for e in events)
