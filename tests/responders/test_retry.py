"""Backoff and which failures deserve it; atomic files."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responders import atomic_file
from responders.decision import Why
from responders.json_file import read_json
from responders.retry import RetryPolicy, failure


def test_the_schedule_doubles_up_to_its_limit() -> None:
    policy = RetryPolicy(first_s=1.0, max_s=10.0)
    assert [policy.delay_s(n) for n in range(1, 7)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


@given(st.integers(1, 10**9))
def test_no_number_of_failures_overflows(failures: int) -> None:
    assert 0 < RetryPolicy().delay_s(failures) <= 300.0


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EAGAIN, errno.EDQUOT, errno.EMFILE, errno.EBUSY])
def test_what_may_pass_is_worth_a_retry(code: int) -> None:
    outcome = failure(OSError(code, os.strerror(code), "/data/blocklist.txt"))
    assert (outcome.ok, outcome.retry, outcome.why) == (False, True, Why.TRANSIENT_ERROR)
    assert outcome.detail == f"{os.strerror(code)}: /data/blocklist.txt"


@pytest.mark.parametrize("code", [errno.ENOENT, errno.EACCES, errno.EROFS, errno.ELOOP, errno.ENOTDIR])
def test_what_needs_a_person_is_not(code: int) -> None:
    outcome = failure(OSError(code, os.strerror(code)))
    assert (outcome.ok, outcome.retry, outcome.why) == (False, False, Why.PERMANENT_ERROR)


def test_a_bug_is_permanent_and_its_text_is_made_harmless() -> None:
    outcome = failure(RuntimeError("a\nb\x1b[31m" + "x" * 1000))
    assert (outcome.retry, outcome.why) == (False, Why.PERMANENT_ERROR)
    assert outcome.detail.isprintable()
    assert len(outcome.detail) <= 300


def test_what_need_not_be_durable_is_whole_too(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"one", b"two"):
        atomic_file.write(path, content, 0o640, durable=False)
        assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    atomic_file.write(path, b"one", 0o640)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o604)
    atomic_file.write(path, b"two", 0o640)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"two", 0o604)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    atomic_file.write(path, b"one", 0o600)

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        atomic_file.write(path, b"two", 0o600)
    assert path.read_bytes() == b"one"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_what_a_crash_left_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / ".file.new").write_bytes(b"half")
    (tmp_path / ".link.new").symlink_to("nowhere")
    atomic_file.write(tmp_path / "file", b"whole", 0o600)
    atomic_file.point(tmp_path / "link", "file")
    assert (tmp_path / "link").read_bytes() == b"whole"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "link"]


def test_symlinks_are_neither_read_nor_written_through(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"secret")
    link = tmp_path / "link"
    link.symlink_to("target")
    with pytest.raises(OSError, match="symbolic"):
        atomic_file.read(link)
    with pytest.raises(OSError, match="regular"):
        atomic_file.write(link, b"x", 0o600)
    (tmp_path / ".file.new").symlink_to("target")
    (tmp_path / ".file.lock").symlink_to("target")
    atomic_file.write(tmp_path / "file", b"x", 0o600)
    with pytest.raises(OSError, match="symbolic"), atomic_file.locked(tmp_path / "file"):
        pass
    assert (tmp_path / "target").read_bytes() == b"secret"


def test_other_things_than_files_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "large").write_bytes(b"123")
    monkeypatch.setattr(atomic_file, "MAX_BYTES", 2)
    for name in ("pipe", "folder", "large"):
        with pytest.raises(OSError, match=r"regular|large"):
            atomic_file.read(tmp_path / name)
    assert atomic_file.read(tmp_path / "missing") is None


def test_a_damaged_file_is_told_by_name(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    assert read_json(path, dict[str, int]) is None
    for damaged in (b"{", b'{"a": "x"}', b"\xff\xfe", b"[" * 10_000):
        path.write_bytes(damaged)
        with pytest.raises(OSError, match="not a file of ours") as caught:
            read_json(path, dict[str, int])
        assert failure(caught.value).why is Why.PERMANENT_ERROR
        assert "state.json" in failure(caught.value).detail


def test_one_holder_of_a_lock_at_a_time(tmp_path: Path) -> None:
    inside, most = 0, 0
    mutex = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(50):
            with atomic_file.locked(tmp_path / "file"):
                with mutex:
                    inside += 1
                    most = max(most, inside)
                with mutex:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_a_missing_folder_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"), atomic_file.locked(tmp_path / "missing" / "file"):
        pass
