"""Logs: hostile values cannot break a line, move a terminal's cursor or fill a disk; JSON stays JSON."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from monitor import logs
from monitor.settings import Logging


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    """All loggers are as they were afterwards."""
    root = logging.getLogger()
    handlers, levels = root.handlers[:], {name: logging.getLogger(name).level for name in ("", *logs.NOISY)}
    yield
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    structlog.reset_defaults()


def test_json_lines_hold_hostile_values_whole(capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup(Logging(format="json"))
    structlog.get_logger("vedette.test").info("found", client='x"}\n{"level":"error"\x1b[31m', model="m" * 10_000)
    [line] = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert entry["event"] == "found"
    assert entry["level"] == "info"
    assert "\x1b" not in line
    assert len(entry["model"]) < 3000


def test_console_lines_cannot_be_forged(capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup(Logging(format="console"))
    structlog.get_logger("vedette.test").warning("found", client="a\n2026-01-01 [info] all is well\x1b[2J")
    [line] = capsys.readouterr().err.splitlines()
    assert "\x1b[2J" not in line


def test_other_libraries_lines_take_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup(Logging(format="json"))
    logging.getLogger("some.library").error("broken: %s", "a\nb")
    logging.getLogger("aiokafka.client").info("chatter")
    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"].startswith("broken: a")
