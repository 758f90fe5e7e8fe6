"""The same recording gives the same findings, ids and figures included, however it is played."""

from __future__ import annotations

from pathlib import Path

import pytest
from brokers import BrokerHandle
from world import World, sorted_findings

from detectors.finding import Finding
from monitor.codec import encode_compact
from monitor.core import load_core
from monitor.event import Event
from monitor.settings import Detection, Response, Settings
from replay.in_process import Outcome, replay_in_process
from replay.schedule import Record
from tests.stream.conftest import SHORT_WINDOWS, records


def test_there_is_something_to_compare(expected: Outcome) -> None:
    attacks = {f.attack.value for f in expected.findings}
    assert {"evasion", "extraction", "shift"} <= attacks


@pytest.mark.parametrize(("partitions", "batch_events"), [(1, 97), (4, 1000), (12, 1), (3, 10_000)])
def test_in_process_any_partitions_and_batches(
    baseline: Path, events: list[Event], expected: Outcome, partitions: int, batch_events: int
) -> None:
    settings = Settings(detection=Detection(baseline=str(baseline)), response=Response(mode="enforce"))
    # one event a step is slow: the first quarter of the traffic is enough to show a difference there
    part = events if batch_events > 1 else events[: len(events) // 4]
    again = replay_in_process(part, load_core(settings), partitions=partitions, batch_events=batch_events)
    once = expected if part is events else replay_in_process(part, load_core(settings))
    assert sorted_findings(again.findings) == sorted_findings(once.findings)
    assert again.verdicts == once.verdicts
    assert {d.id for d in again.decisions} == {d.id for d in once.decisions}
    assert again.incidents == once.incidents


@pytest.mark.parametrize("partitions", [1, 4])
def test_through_a_broker_at_full_speed(
    broker: BrokerHandle, tmp_path: Path, baseline: Path, events: list[Event], expected: Outcome, partitions: int
) -> None:
    world = World(broker, tmp_path, baseline, partitions)
    sent = world.play(records(events))
    with world.worker() as worker:
        verdicts = worker.until_judged(sent)
        world.until_closed(worker)
        published = world.topic_records(world.settings.topics.findings.name, len(expected.findings))
    assert sorted_findings(world.findings()) == sorted_findings(expected.findings)
    assert {k: n for k, n in verdicts.items() if n} == {k: n for k, n in expected.verdicts.items() if n}
    assert {r.key.decode() for r in published} == {f.id for f in expected.findings}
    alerts = Path(world.settings.alerts_file).read_bytes().splitlines()  # whole once the worker has ended
    assert len(alerts) == len(expected.findings)


def test_through_a_broker_as_recorded(
    broker: BrokerHandle, tmp_path: Path, short_baseline: Path, short_events: list[Event], expected_short: list[Finding]
) -> None:
    """Speed 1: the events arrive while the worker runs, at the times they were recorded."""
    world = World(broker, tmp_path, short_baseline, 4, {"windows": SHORT_WINDOWS})
    with world.worker() as worker:
        worker.until_ready()
        worker.until_judged(world.play(records(short_events), speed=1.0))
        world.until_closed(worker)
    assert sorted_findings(world.findings()) == sorted_findings(expected_short)


def test_compact_records_say_the_same(
    broker: BrokerHandle, tmp_path: Path, baseline: Path, events: list[Event], expected: Outcome
) -> None:
    """Many requests a record: consecutive requests of one client travel together."""
    packed: list[Record] = []
    waiting: dict[str, list[Event]] = {}
    for event in events:
        mine = waiting.setdefault(event.client, [])
        mine.append(event)
        if len(mine) == 5:
            packed.append(Record(event.ts, event.client.encode(), encode_compact(mine)))
            waiting[event.client] = []
    packed += [Record(m[-1].ts, c.encode(), encode_compact(m)) for c, m in waiting.items() if m]
    packed.sort(key=lambda r: r.ts)
    world = World(broker, tmp_path, baseline, 4, {"windows": {"grace_s": 600.0}})
    world.play(packed)
    with world.worker() as worker:
        worker.until_judged(len(events))
    mine = [f for f in sorted_findings(world.findings()) if f.subject.scope != "model"]
    assert mine == [f for f in sorted_findings(expected.findings) if f.subject.scope != "model"]
