"""Recording from real brokers: everything, in order, and what is no event beside it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgspec
import numpy as np
import pytest
from brokers import BrokerHandle, topic_name
from kafka import KafkaProducer

from monitor.codec import encode_compact, encode_json
from monitor.event import Event, Reason
from monitor.kafka_admin import ensure_topics
from monitor.kafka_connect import KafkaProblem
from monitor.settings import Topic
from replay.player import play_to_kafka
from replay.recorder import Recorded, Until, record_topics, stopped_by_signal
from replay.recording import read_recording
from replay.rejects import Reject
from replay.schedule import Record

PARTITIONS = 3


def _event(i: int) -> Event:
    x = np.full((1, 2), i, dtype=np.float32)
    return Event(id=f"e{i}", ts=1000.0 + i / 10, model="digits", x=x, shape=(2,), client_id=f"c{i % 7}")


@pytest.fixture
def topic(broker: BrokerHandle) -> str:
    name = topic_name()
    ensure_topics(broker.kafka, [Topic(name, partitions=PARTITIONS)])
    return name


def _play(broker: BrokerHandle, topic: str, count: int) -> None:
    records = [Record(e.ts, e.client.encode(), encode_json(e)) for e in map(_event, range(count))]
    play_to_kafka(records, broker.kafka, topic, close_after_s=91.0)


def _ids(path: Path) -> list[str]:
    return [event.id for event in read_recording(path) if isinstance(event, Event)]


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".vdt.zst"])
def test_all_partitions_are_written_in_event_time_order(
    broker: BrokerHandle, topic: str, suffix: str, tmp_path: Path
) -> None:
    _play(broker, topic, 500)
    path = tmp_path / f"traffic{suffix}"
    told: list[int] = []

    def progress(recorded: Recorded) -> None:
        told.append(recorded.events)

    recorded = record_topics(broker.kafka, [topic], path, Until(idle_s=2.0), progress=progress)
    assert _ids(path) == [f"e{i}" for i in range(500)]
    assert (recorded.events, recorded.rejected) == (500, 0)
    assert recorded.ticks % PARTITIONS == 0
    assert recorded.ticks > 0
    assert told == sorted(told)
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name]


def test_what_is_no_event_is_kept_with_its_bytes_and_why(broker: BrokerHandle, topic: str, tmp_path: Path) -> None:
    garbage = bytes(range(256))
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap)
    producer.send(topic, garbage, key=b"\xff", partition=0)
    producer.send(topic, encode_json(_event(1)), partition=0)
    producer.send(topic, b"{}", partition=1)
    producer.send(topic, b"nonsense", headers=[("vedette-kind", b"tick")], partition=2)
    producer.send(topic, encode_compact([_event(2), _event(3)]), partition=1)
    producer.close()

    path = tmp_path / "traffic.jsonl"
    recorded = record_topics(broker.kafka, [topic], path, Until(idle_s=2.0))
    assert _ids(path) == ["e1", "e2", "e3"]
    lines = recorded.rejected_path.read_bytes().splitlines()
    rejects = {(r.partition, r.offset): r for r in (msgspec.json.decode(line, type=Reject) for line in lines)}
    assert recorded.rejected == len(rejects) == 3
    assert (rejects[0, 0].raw, rejects[0, 0].key, rejects[0, 0].reason) == (garbage, b"\xff", Reason.UNKNOWN_FORMAT)
    assert (rejects[1, 0].raw, rejects[1, 0].reason) == (b"{}", Reason.MISSING_FIELD)
    assert rejects[2, 0].raw == b"nonsense"
    assert {r.topic for r in rejects.values()} == {topic}

    again = record_topics(broker.kafka, [topic], path, Until(events=1))
    assert (again.events, _ids(path)) == (1, ["e1"])


def test_it_ends_after_the_number_asked_for(broker: BrokerHandle, topic: str, tmp_path: Path) -> None:
    _play(broker, topic, 300)
    path = tmp_path / "traffic.jsonl"
    assert record_topics(broker.kafka, [topic], path, Until(events=100)).events == 100
    assert _ids(path) == [f"e{i}" for i in range(100)]


def test_it_ends_after_its_time(broker: BrokerHandle, topic: str, tmp_path: Path) -> None:
    recorded = record_topics(broker.kafka, [topic], tmp_path / "none.jsonl", Until(duration_s=0.5))
    assert (recorded.events, _ids(tmp_path / "none.jsonl")) == (0, [])


def test_a_signal_ends_it_in_order(broker: BrokerHandle, topic: str, tmp_path: Path) -> None:
    _play(broker, topic, 50)
    before = signal.getsignal(signal.SIGINT)
    with stopped_by_signal() as stopped:

        def interrupt(recorded: Recorded) -> None:
            os.kill(os.getpid(), signal.SIGINT)

        record_topics(broker.kafka, [topic], tmp_path / "some.jsonl", stop=stopped, progress=interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    assert _ids(tmp_path / "some.jsonl")  # what had been read is written


# the embedded broker does not know where a partition ends, see ``record_topics``
@pytest.mark.parametrize("broker", [pytest.param("apache", marks=pytest.mark.kafka)], indirect=True)
def test_from_now_on_leaves_out_what_was_there(broker: BrokerHandle, topic: str, tmp_path: Path) -> None:
    _play(broker, topic, 50)
    path = tmp_path / "none.jsonl"
    recorded = record_topics(broker.kafka, [topic], path, Until(duration_s=1.0), from_start=False)
    assert recorded.events == 0


def test_a_missing_topic_is_told_and_leaves_no_file(broker: BrokerHandle, tmp_path: Path) -> None:
    name = topic_name()
    with pytest.raises(KafkaProblem, match=name):
        record_topics(broker.kafka, [name], tmp_path / "none.jsonl")
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_no_file(broker: BrokerHandle, topic: str, tmp_path: Path) -> None:
    _play(broker, topic, 10)

    def fail(_: Recorded) -> None:
        raise RuntimeError("display gone")

    with pytest.raises(RuntimeError, match="display gone"):
        record_topics(broker.kafka, [topic], tmp_path / "none.jsonl", progress=fail)
    assert not list(tmp_path.iterdir())
