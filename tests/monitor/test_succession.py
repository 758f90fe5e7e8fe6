"""A worker's name, kept with its place, and who keeps it: never a second one while the first lives."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.settings import Kafka
from monitor.succession import Succession
from replay.embedded_broker import free_port

#: Nobody listens here: taking over must not depend on an answer.
NOBODY = Kafka(brokers=(f"127.0.0.1:{free_port()}",), group="g")
NAME = re.compile(r"vedette-[0-9a-f]{32}")

HOLDER = """
import sys
from pathlib import Path
from monitor.settings import Kafka
from monitor.succession import Succession
succession = Succession(Path(sys.argv[1]), Kafka(brokers=(sys.argv[2],), group="g"))
print(succession.take_over(), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "worker-6066"


def taken(path: Path) -> str:
    return Succession(path, NOBODY).take_over()


def test_a_name_outlives_its_worker(path: Path) -> None:
    """Who follows has it, whether or not a broker can be told."""
    command = [sys.executable, "-c", HOLDER, str(path), NOBODY.brokers[0]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        name = worker.stdout.readline().strip()
        assert NAME.fullmatch(name)
        second = taken(path)
        assert NAME.fullmatch(second)
        assert second != name, "the first lives"
        worker.kill()
        worker.wait()
        assert taken(path) == name


@pytest.mark.parametrize("written", [b"\x00\xff", b"vedette-", b"faust-1.0", b"vedette-" + b"g" * 32, b"x" * 10_000])
def test_what_is_no_name_is_replaced(path: Path, written: bytes) -> None:
    path.write_bytes(written)
    name = taken(path)
    assert NAME.fullmatch(name)
    assert path.read_text() == name


def test_a_folder_that_is_gone_is_no_reason_to_stop(tmp_path: Path) -> None:
    assert NAME.fullmatch(taken(tmp_path / "absent" / "worker-1"))
