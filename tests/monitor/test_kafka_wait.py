"""Waiting for a broker: patient with one that is not up yet, not with what waiting cannot mend."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from brokers import Apache, free_port, topic_name
from hypothesis import given
from hypothesis import strategies as st

from monitor.kafka_connect import BrokerUnreachable, KafkaProblem
from monitor.kafka_wait import MAX_WAIT_S, SAY_EVERY_S, backoff_s, until_answered, wait_for_broker, with_patience
from monitor.settings import Kafka, Settings
from replay.embedded_broker import EmbeddedBroker


class Clock:
    """Sleeping is all that takes time."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


@given(st.integers(0, 10**6), st.floats(0, 1, exclude_max=True))
def test_waits_grow_to_a_bound(attempt: int, jitter: float) -> None:
    wait_s = backoff_s(attempt, jitter)
    assert 0.25 <= wait_s <= MAX_WAIT_S
    assert wait_s <= backoff_s(attempt + 1, jitter)
    assert wait_s >= backoff_s(attempt, 0.0) / 2


def test_it_tries_until_somebody_answers_and_says_why_it_waits() -> None:
    clock, said = Clock(), list[str]()
    reasons: Iterator[str] = iter(["refused"] * 20 + ["no TLS"] * 2)

    def action() -> int:
        for reason in reasons:
            raise BrokerUnreachable(reason)
        return 7

    assert with_patience(action, said.append, now=clock.now, sleep=clock.sleep, jitter=lambda: 0.0) == 7
    assert clock.slept[:8] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert len(clock.slept) == 22
    assert "refused" in said[0]
    assert "next try in 0.5 s" in said[0]
    assert sum("no TLS" in line for line in said) == 2, "a new reason at once"
    assert 3 <= len(said) <= 1 + clock.now_s / SAY_EVERY_S


async def test_the_same_while_others_go_on() -> None:
    errors, said = [BrokerUnreachable("refused"), BrokerUnreachable("gone")], list[str]()

    async def action() -> int:
        if errors:
            raise errors.pop(0)
        return 7

    assert await until_answered(action, said.append, jitter=lambda: 0.99) == 7
    assert [reason in line for reason, line in zip(("refused", "gone"), said, strict=True)] == [True, True]

    async def hopeless() -> None:
        raise KafkaProblem("no right")

    with pytest.raises(KafkaProblem, match="no right"):
        await until_answered(hopeless, said.append)
    assert len(said) == 2


def test_what_waiting_cannot_mend_is_raised_at_once() -> None:
    clock = Clock()

    def action() -> None:
        raise KafkaProblem("the login is refused")

    with pytest.raises(KafkaProblem, match="login"):
        with_patience(action, pytest.fail, now=clock.now, sleep=clock.sleep)
    assert clock.slept == []
    with pytest.raises(KafkaProblem, match="is not HOST:PORT"):
        wait_for_broker(Settings(kafka=Kafka(brokers=("nowhere",))), pytest.fail, sleep=clock.sleep)


def test_a_broker_that_comes_up_later() -> None:
    """The third wait is when it comes up."""
    port, waits = free_port(), list[float]()
    broker = EmbeddedBroker(port)

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            broker.start()

    said: list[str] = []
    try:
        wait_for_broker(Settings(kafka=Kafka(brokers=(f"127.0.0.1:{port}",))), said.append, sleep=sleep)
    finally:
        broker.stop()
    assert len(waits) == 3
    assert f"127.0.0.1:{port}: Connection refused" in said[0]


@pytest.mark.kafka
def test_a_worker_waits_for_apache_kafka(tmp_path: Path, baseline: Path) -> None:
    """``vedette run`` started before the broker says so, and works once the broker is there."""
    broker = Apache(tmp_path / "kafka")
    config = tmp_path / "vedette.yaml"
    raw = {
        "data_dir": str(tmp_path / "data"),
        "kafka": {"brokers": [f"127.0.0.1:{broker.port}"], "group": topic_name("group")},
        "topics": {"events": {"name": topic_name("events"), "partitions": 2}},
        "detection": {"baseline": str(baseline)},
        "web": {"port": free_port()},
    }
    config.write_text(yaml.safe_dump(raw))
    command = [sys.executable, "-m", "monitor", "run", "-c", str(config)]
    worker = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert worker.stderr is not None
        seen: list[str] = []
        for line in worker.stderr:
            seen.append(line)
            if "waiting for Kafka" in line and not broker.bootstrap:
                broker.start()
            if "partitions assigned" in line:
                break
        else:
            pytest.fail("".join(seen))
        worker.terminate()
        worker.stderr.read()
        assert worker.wait(timeout=60) == 0
    finally:
        worker.kill()
        worker.communicate()
        if broker.bootstrap:
            broker.stop()
