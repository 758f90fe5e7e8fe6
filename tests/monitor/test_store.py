"""The store: state, offsets, findings and incidents change together or not at all."""

from __future__ import annotations

import sqlite3
import stat
import threading
from pathlib import Path

import pytest
from makers import finding

from monitor.incidents import Incidents
from monitor.store import Mark, Store, StoreError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "vedette.db"


def test_what_is_committed_is_there_after_reopening(path: Path) -> None:
    f = finding()
    incident, _ = Incidents(600).merge(f)
    store = Store(path)
    store.commit([("partition/0", "a", b"1"), ("partition/0", "b", b"2")], {("t", 0): 7})
    store.note([f], [incident])
    store.commit([("partition/0", "a", None)], {("t", 1): 3}, [("192.0.2.1", "client:a")])
    store.close()
    again = Store(path)
    assert again.state("partition/0") == {"b": b"2"}
    assert (again.next_offset("t", 0), again.next_offset("t", 1), again.next_offset("t", 2)) == (7, 3, 0)
    assert again.findings() == [f]
    assert again.incident(incident.id) == (incident, Mark())
    assert again.clients_of("192.0.2.1") == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_failed_commit_leaves_nothing(path: Path) -> None:
    store = Store(path)
    store.commit([("s", "a", b"old")], {("t", 0): 1})
    with pytest.raises(sqlite3.Error):
        store.commit([("s", "a", b"new")], {("t", 0): object()})  # type: ignore[dict-item]  # meant to fail
    assert store.state("s") == {"a": b"old"}
    assert store.next_offset("t", 0) == 1
    store.commit([("s", "a", b"new")], {("t", 0): 2})
    assert store.next_offset("t", 0) == 2


def test_findings_wait_until_published_once(path: Path) -> None:
    store = Store(path)
    findings = [finding(100.0 + i) for i in range(3)]
    store.note(findings, [])
    assert store.unpublished(2) == findings[:2]
    store.published([findings[0].id])
    store.note(findings, [])  # a replay of the same records
    assert store.unpublished() == findings[1:]


def test_state_of_another_baseline_is_refused(path: Path) -> None:
    store = Store(path)
    store.pin("baseline", "abc")
    store.pin("baseline", "abc")
    with pytest.raises(StoreError, match="another baseline"):
        store.pin("baseline", "def")


def test_marks_survive_new_evidence(path: Path) -> None:
    store = Store(path)
    incidents = Incidents(600)
    incident, _ = incidents.merge(finding(100))
    store.note([], [incident])
    assert store.mark(incident.id, "false_positive", "ann")
    assert not store.mark("inc-none", "resolved", "ann")
    worse, _ = incidents.merge(finding(110))
    store.note([], [worse])
    assert store.incident(incident.id) == (worse, Mark("false_positive", 1))


def test_unusable_folder_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="data_dir"):
        Store(tmp_path / "file" / "vedette.db")


def test_readers_in_other_threads_never_see_half_a_commit(path: Path) -> None:
    """Every read sees a state and an offset of the same commit."""
    store = Store(path)
    store.commit([("s", "n", b"0")], {("t", 0): 0})
    torn: list[tuple[bytes, int]] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            with store._lock:  # one look at both, as a transaction would give
                state, offset = store.state("s")["n"], store.next_offset("t", 0)
            if int(state) != offset:
                torn.append((state, offset))

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(1, 200):
        store.commit([("s", "n", str(n).encode())], {("t", 0): n})
    stop.set()
    reader.join()
    assert torn == []
