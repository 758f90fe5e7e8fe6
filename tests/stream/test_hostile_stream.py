"""Hostile records through a real broker: each ends in the dead-letter topic with its reason, and the worker goes on."""

from __future__ import annotations

from pathlib import Path

from brokers import BrokerHandle
from world import World, sorted_findings

from monitor.codec.dead_letter import decode_dead_letter
from monitor.codec.limits import Limits
from monitor.event import Event
from replay.in_process import Outcome
from replay.schedule import Record
from tests.monitor.hostile import hostile_records
from tests.stream.conftest import records


def test_every_hostile_record_is_buried_with_its_reason_and_traffic_goes_on(
    broker: BrokerHandle, tmp_path: Path, baseline: Path, events: list[Event], expected: Outcome
) -> None:
    """Hostile records between the good ones: same findings, and bytes and reason of each in the dead-letter topic."""
    limit = 400_000  # what a broker takes by default; the records that are too large are scaled to it
    hostile = hostile_records(Limits(max_bytes=limit))
    assert len(hostile) >= 200
    traffic = records(events)
    step = len(traffic) // len(hostile)
    mixed: list[Record] = []
    for n, record in enumerate(traffic):
        mixed.append(record)
        if n % step == 0 and n // step < len(hostile):
            mixed.append(Record(record.ts, b"hostile-%d" % (n % 7), hostile[n // step][1]))
    world = World(broker, tmp_path, baseline, 4, {"stream": {"max_event_bytes": limit}})
    world.play(mixed)
    with world.worker() as worker:
        verdicts = worker.until_judged(len(mixed))
        world.until_closed(worker)
        letters = world.topic_records(world.settings.topics.dead_letters.name, verdicts["dead_letter"])
        assert worker.readiness()["ready"]  # type: ignore[index]  # it answers, or the test fails here
    assert sorted_findings(world.findings()) == sorted_findings(expected.findings)
    buried = [decode_dead_letter(letter.value, letter.headers) for letter in letters]
    assert len(buried) == verdicts["dead_letter"] >= len(hostile)
    found = {(letter.raw, letter.reason) for letter in buried}
    assert not [name for name, raw, reason in hostile if (raw, reason) not in found]
