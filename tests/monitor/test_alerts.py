"""The alerts file: each finding once, whole lines only."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import msgspec
import pytest
from makers import finding

from detectors.finding import Finding
from monitor.alerts import AlertsFile


def lines(path: Path) -> list[Finding]:
    return [msgspec.json.decode(line, type=Finding) for line in path.read_bytes().splitlines()]


def test_once_each_also_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "out" / "alerts.jsonl"
    a, b = finding(1), finding(2)
    assert AlertsFile(path).append([a, a]) == 1
    assert AlertsFile(path).append([a, b]) == 1
    assert lines(path) == [a, b]


def test_half_a_line_is_cut_off_and_written_again(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    a, b = finding(1), finding(2)
    AlertsFile(path).append([a, b])
    path.write_bytes(path.read_bytes()[:-20])
    assert AlertsFile(path).append([a, b]) == 1
    assert lines(path) == [a, b]


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "alerts.jsonl"
    a, b = finding(1), finding(2)
    alerts = AlertsFile(path)
    alerts.append([a])

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space"):
            alerts.append([b])
    assert lines(path) == [a]
    assert alerts.append([a, b]) == 1
    assert lines(path) == [a, b]
