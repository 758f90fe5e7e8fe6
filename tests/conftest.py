"""Fixtures for all tests, and the choice of brokers (``VEDETTE_KAFKA``; see ``tests/brokers.py``)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers import Apache, BrokerHandle, apache, apache_problem, embedded
from hypothesis import settings

from detectors.calibration import calibrate
from monitor.event import Event
from replay.clean_traffic import clean_batches
from replay.demo.workspace import shipped
from replay.recording import read_recording

CHOSEN = "VEDETTE_TEST_BROKERS"
PROBLEM = "VEDETTE_TEST_APACHE_PROBLEM"
CHOICES = ("auto", "embedded", "apache", "both")


# A busy machine is no failure, and whatever calls a kernel first compiles it.
settings.register_profile("vedette", deadline=None)
settings.load_profile("vedette")


def pytest_configure(config: pytest.Config) -> None:
    """Choose once; the processes of a distributed run inherit the choice through the environment."""
    if hasattr(config, "workerinput"):
        return
    wanted = os.environ.get("VEDETTE_KAFKA", "auto")
    if wanted not in CHOICES:
        raise pytest.UsageError(f"VEDETTE_KAFKA must be one of {', '.join(CHOICES)}, not {wanted!r}")
    problem = "VEDETTE_KAFKA=embedded" if wanted == "embedded" else apache_problem()
    if problem and wanted in ("apache", "both"):
        raise pytest.UsageError(f"VEDETTE_KAFKA={wanted}, but Apache Kafka cannot run here: {problem}")
    os.environ[PROBLEM] = problem
    os.environ[CHOSEN] = "apache" if wanted == "apache" else "embedded" if problem else "embedded apache"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of a broker that was not chosen: not skipped, not there."""
    chosen = os.environ[CHOSEN].split()
    left_out = [
        item
        for item in items
        if ("apache" not in chosen and item.get_closest_marker("kafka"))
        or ("embedded" not in chosen and item.get_closest_marker("embedded_broker"))
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if problem := os.environ[PROBLEM]:
        terminalreporter.write_line(f"brokers: the embedded one only; without Apache Kafka: {problem}")
    else:
        terminalreporter.write_line(f"brokers: {os.environ[CHOSEN].replace(' ', ' and ')}")


@pytest.fixture(
    scope="session",
    params=[
        pytest.param("embedded", marks=pytest.mark.embedded_broker),
        pytest.param("apache", marks=pytest.mark.kafka),
    ],
)
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerHandle]:
    """A broker shared by all tests of a session, each kind in turn: use topic names of your own."""
    with embedded() if request.param == "embedded" else apache(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture
def own_apache(tmp_path: Path) -> Iterator[Apache]:
    """An Apache Kafka for one test alone, which may restart it. Mark the test ``kafka``."""
    with apache(tmp_path / "kafka") as running:
        yield running


@pytest.fixture(scope="session")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A baseline file from the shipped clean traffic, made once a session."""
    path = tmp_path_factory.mktemp("baseline") / "baseline.vdb"
    calibrate(clean_batches([shipped("clean.jsonl.zst")]).batches)[0].save(path)
    return path


@pytest.fixture(scope="session")
def events() -> list[Event]:
    """The shipped demo recording."""
    return [e for e in read_recording(shipped("demo.jsonl.zst")) if isinstance(e, Event)]
