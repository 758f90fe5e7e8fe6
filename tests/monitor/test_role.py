"""The responder's place: one process at a time, and free the moment its holder is gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from monitor.role import Role

HOLDER = """
import sys
from pathlib import Path
from monitor.role import Role
role = Role(Path(sys.argv[1]))
print(role.try_take(), flush=True)
sys.stdin.readline()
role.release()
print(role.held, flush=True)
sys.stdin.readline()
"""


def process(path: Path) -> tuple[subprocess.Popen[str], bool]:
    """Another process, and whether it got the role."""
    started = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert started.stdout is not None
    return started, started.stdout.readline() == "True\n"


def test_a_killed_holder_is_followed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "responder.lock"
    role = Role(path)
    holder, took = process(path)
    with holder:
        assert took
        assert not role.try_take()
        assert not role.held
        holder.kill()
        holder.wait()
        assert role.try_take()
    other, took = process(path)
    with other:
        assert not took
        other.kill()


def test_a_holder_that_goes_on_living_can_give_it_back(tmp_path: Path) -> None:
    path = tmp_path / "responder.lock"
    role = Role(path)
    holder, took = process(path)
    with holder:
        assert took
        assert holder.stdin is not None
        assert holder.stdout is not None
        print(file=holder.stdin, flush=True)
        assert holder.stdout.readline() == "False\n"
        assert role.try_take()
        print(file=holder.stdin, flush=True)


def test_within_a_process_too_only_one_has_it(tmp_path: Path) -> None:
    first, second = (Role(tmp_path / "responder.lock") for _ in range(2))
    assert first.try_take()
    assert first.try_take()
    assert not second.try_take()
    first.release()
    first.release()
    assert not first.held
    assert second.try_take()
    assert second.held


def test_a_place_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Role(tmp_path / "absent" / "responder.lock").try_take()
