"""``scripts/apache-kafka`` around the broker: its cache, its errors, and what it leaves behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from brokers import SCRIPT, await_closed

MVN = """#!/bin/sh
echo called >> "$0.calls"
test -f "$0.fail" && { echo "[ERROR] repository unreachable"; exit 1; }
for argument in "$@"; do case $argument in -DoutputDirectory=*) out=${argument#*=};; esac; done
mkdir -p "$out" && echo jar > "$out/kafka_2.13-4.1.0.jar" && echo other > "$out/other.jar"
"""
JAVA = """#!/bin/sh
echo "    java.specification.version = VERSION" >&2
"""


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with a Maven that fetches two small files and a Java that only tells its version."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "mkdir").symlink_to(str(shutil.which("mkdir")))
    _program(folder / "mvn", MVN)
    _program(folder / "java", JAVA.replace("VERSION", "17"))
    return folder


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _fetch(tools: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(tools), "HOME": str(tools), "XDG_CACHE_HOME": str(tools.parent / "cache")}
    command = [sys.executable, str(SCRIPT), "--fetch-only"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def _calls(tools: Path) -> int:
    log = tools / "mvn.calls"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_jars_are_fetched_once_and_again_only_when_damaged(tools: Path) -> None:
    assert _fetch(tools).returncode == 0
    assert _fetch(tools).returncode == 0
    assert _calls(tools) == 1

    cache = tools.parent / "cache" / "vedette"
    (folder,) = cache.iterdir()
    (folder / "libs" / "other.jar").write_text("cut")
    assert _fetch(tools).returncode == 0
    assert _calls(tools) == 2
    assert (folder / "libs" / "other.jar").read_text() == "other\n"
    assert list(cache.iterdir()) == [folder]


def test_a_failed_fetch_quotes_maven_and_leaves_nothing(tools: Path) -> None:
    (tools / "mvn.fail").touch()
    done = _fetch(tools)
    assert done.returncode == 1
    assert "repository unreachable" in done.stderr
    assert not list((tools.parent / "cache" / "vedette").iterdir())


@pytest.mark.parametrize(("tool", "told"), [("mvn", "Maven (mvn) is needed"), ("java", "Java 17 or newer is needed")])
def test_a_missing_tool_is_named(tools: Path, tool: str, told: str) -> None:
    (tools / tool).unlink()
    done = _fetch(tools)
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_an_old_java_is_named(tools: Path) -> None:
    _program(tools / "java", JAVA.replace("VERSION", "1.8"))
    done = _fetch(tools)
    assert done.returncode == 1
    assert "is version 1.8" in done.stderr


def test_help_teaches() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--help"], capture_output=True, text=True)
    assert "--port 9092" in done.stdout
    assert "--fetch-only" in done.stdout


@pytest.mark.kafka
def test_a_signal_ends_it_and_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = dict(os.environ) | {"TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    port = int(process.stdout.readline().rpartition(":")[2])
    assert list(tmp_path.iterdir())
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    await_closed(port)
    assert not list(tmp_path.iterdir())


@pytest.mark.kafka
def test_a_broker_that_cannot_start_is_quoted(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--property", "log.retention.hours=soon"]
    environment = dict(os.environ) | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "log.retention.hours" in done.stderr
    assert not list(tmp_path.iterdir())
