"""A fix after the fact: what a worker rejected is sent again, and each event is judged exactly once."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from brokers import BrokerHandle
from command_line import vedette
from world import World

from monitor.codec import encode_json
from monitor.event import Event
from replay.schedule import Record
from tests.stream.conftest import records


def test_rejected_events_are_judged_once_after_a_fix(
    broker: BrokerHandle, tmp_path: Path, baseline: Path, events: list[Event]
) -> None:
    """Long records are rejected by a limit that was too low; raised, they are events; the second time nothing goes."""
    world = World(broker, tmp_path, baseline, 2, {"stream": {"max_event_bytes": 20_000}})
    mine = events[:60]
    padded = [Record(e.ts, e.client.encode(), encode_json(e) + b" " * 30_000) for e in mine[::3]]
    broken = Record(mine[0].ts, mine[0].client.encode(), b'{"id":')
    sent = world.play([*padded, *records([e for i, e in enumerate(mine) if i % 3]), broken])
    with world.worker() as worker:
        before = worker.until_judged(sent)
    assert before["dead_letter"] == len(padded) + 1

    config = yaml.safe_load(world.config.read_text()) | {"stream": {"max_event_bytes": 100_000}}
    world.config.write_text(yaml.safe_dump(config))
    replayed = vedette("dead-letters", "replay", "--yes", "-c", world.config)
    assert replayed.code == 0, replayed.err
    assert f"events now: {len(padded)}, sent before: 0, still none: 1" in replayed.words
    again = vedette("dead-letters", "replay", "--yes", "-c", world.config)
    assert f"events now: 0, sent before: {len(padded)}, still none: 1" in again.words
    with world.worker() as worker:
        after = worker.until_judged(sent + len(padded))
    judged = {verdict: n - before.get(verdict, 0) for verdict, n in after.items()}
    assert sum(judged.values()) == len(padded)
    assert judged.get("dead_letter", 0) == judged.get("duplicate", 0) == 0
    rows = [json.loads(line) for line in vedette("dead-letters", "list", "--json", "-c", world.config).out.splitlines()]
    assert sorted(row["replayed"] for row in rows) == [False] + [True] * len(padded)
