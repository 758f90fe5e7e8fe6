"""A worker that is far behind looks less closely, says so, catches up, and looks closely again."""

from __future__ import annotations

import re
import time
import urllib.request
from pathlib import Path

import msgspec
from brokers import BrokerHandle
from world import World

from monitor.event import Event
from tests.stream.conftest import records

ROUNDS = 4
LEVEL_1 = 0.05


def again(events: list[Event], rounds: int) -> list[Event]:
    """The same traffic several times over, one after the other, by other clients."""
    span_s = events[-1].ts - events[0].ts + 1.0
    return [
        msgspec.structs.replace(e, id=f"{e.id}-{n}", ts=e.ts + n * span_s, client_id=f"{e.client_id or 'anon'}-{n}")
        for n in range(rounds)
        for e in events
    ]


def metric(text: str, name: str) -> float:
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? ([0-9.e+]+)$", text, re.M))


def test_a_backlog_is_worked_off_with_samples_and_then_all_is_seen_again(
    broker: BrokerHandle, tmp_path: Path, baseline: Path, events: list[Event]
) -> None:
    overload = {"behind_s": LEVEL_1, "far_behind_s": 0.1, "lost_s": 1e6, "dwell_s": 0.1}
    world = World(broker, tmp_path, baseline, 2, {"stream": {"overload": overload, "batch_events": 200}})
    sent = world.play(records(again(events, ROUNDS)))
    with world.worker() as worker:
        verdicts = worker.until_judged(sent)
        end = time.monotonic() + 60.0
        while True:
            with urllib.request.urlopen(f"http://127.0.0.1:{world.web_port}/metrics", timeout=10.0) as answer:
                text = answer.read().decode()
            if metric(text, "vedette_overload_level") == 0.0:
                break
            assert time.monotonic() < end, "it does not look closely again"
            time.sleep(0.1)
    assert sum(verdicts.values()) == sent
    log = (world.folder / "worker.log").read_text()
    assert "overload level 2" in log
    assert metric(text, "vedette_sampled_rows_total") > 0
    degraded = [f for f in world.findings() if "degraded" in f.evidence]
    assert degraded
    assert all("windows count 1 row in 4" in str(f.evidence["degraded"]) for f in degraded)
