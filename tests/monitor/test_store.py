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


def test_what_is_saved_is_there_after_reopening(path: Path) -> None:
    f = finding()
    incident, _ = Incidents(600).merge(f)
    store = Store(path)
    assert store.take_state("events/0", "me") == ({}, None)
    assert store.save_state("events/0", "me", {"a": b"1", "b": b"2"}, 7)
    store.note([f], [incident], 1.0)
    assert store.save_state("events/0", "me", {"a": None}, 9)
    store.address([("192.0.2.1", "client:a")])
    store.reach("events/0", {"clean": 3}, 50.0)
    store.reach("windows/0", {}, 40.0)
    store.close()
    again = Store(path)
    assert again.take_state("events/0", "me") == ({"b": b"2"}, 9)
    assert again.take_state("events/1", "me") == ({}, None)
    assert again.findings() == [f]
    assert again.incident(incident.id) == (incident, Mark())
    assert again.clients_of("192.0.2.1") == 1
    assert again.verdicts() == {"clean": 3}
    assert again.newest_event_ts() == 50.0
    assert again.reached() == {"events/0": 50.0, "windows/0": 40.0}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_failed_save_leaves_nothing(path: Path) -> None:
    store = Store(path)
    store.take_state("s", "me")
    store.save_state("s", "me", {"a": b"old"}, 1)
    with pytest.raises(sqlite3.Error):
        store.save_state("s", "me", {"a": b"new", "b": object()}, 2)  # type: ignore[dict-item]  # meant to fail
    assert store.take_state("s", "me") == ({"a": b"old"}, 1)


def test_only_who_took_a_scope_last_can_save_it(path: Path) -> None:
    store, other = Store(path), Store(path)
    store.take_state("s", "me")
    assert store.save_state("s", "me", {"a": b"1"}, 5)
    assert other.take_state("s", "you") == ({"a": b"1"}, 5)
    assert not store.save_state("s", "me", {"a": b"stale"}, 6)
    assert other.save_state("s", "you", {"a": b"2"}, 7)
    assert store.take_state("s", "me") == ({"a": b"2"}, 7)


def test_who_asks_what_changed_hears_of_everything_once(path: Path) -> None:
    """Another process notes, an operator marks; an older state of an incident that is told again counts for nothing."""
    store, other = Store(path), Store(path)
    incidents = Incidents(600)
    first, _ = incidents.merge(finding(100))
    store.note([finding(100)], [first], 1.0)
    ids, seen = other.changed(0)
    assert ids == [first.id]
    assert other.changed(seen) == ([], seen)
    second, _ = incidents.merge(finding(110))
    store.note([finding(110)], [second], 2.0)
    ids, seen = other.changed(seen)
    assert ids == [first.id]
    store.note([finding(100)], [first], 3.0)
    assert other.changed(seen) == ([], seen)
    assert other.incident(first.id) == (second, Mark())
    store.mark(first.id, "resolved", "ann")
    assert other.changed(seen)[0] == [first.id]
    found, upto = other.found(0)
    assert [f.ts for f in found] == [100, 110]
    assert other.found(upto) == ([], upto)


def test_findings_wait_until_published_once(path: Path) -> None:
    store = Store(path)
    findings = [finding(100.0 + i) for i in range(3)]
    store.note(findings, [], 7.0)
    assert store.unpublished(limit=2) == findings[:2]
    assert store.unpublished(7.0) == []
    store.published([findings[0].id])
    store.note(findings, [], 8.0)  # a replay of the same records
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
    store.note([], [incident], 1.0)
    assert store.mark(incident.id, "false_positive", "ann")
    assert not store.mark("inc-none", "resolved", "ann")
    worse, _ = incidents.merge(finding(110))
    store.note([], [worse], 1.0)
    assert store.incident(incident.id) == (worse, Mark("false_positive", 1))


def test_unusable_folder_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="data_dir"):
        Store(tmp_path / "file" / "vedette.db")


def test_readers_in_other_threads_never_see_half_a_save(path: Path) -> None:
    """Every read sees a state and an offset of the same save."""
    store, other = Store(path), Store(path)
    store.take_state("s", "me")
    store.save_state("s", "me", {"n": b"0"}, 0)
    torn: list[tuple[bytes, int]] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            values, offset = other.take_state("s", "me")
            if int(values["n"]) != offset:
                torn.append((values["n"], offset))

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(1, 100):
        store.save_state("s", "me", {"n": str(n).encode()}, n)
    stop.set()
    reader.join()
    assert torn == []


def test_a_folder_of_another_version_is_refused(path: Path) -> None:
    Store(path).close()
    db = sqlite3.connect(path)
    with db:
        db.execute("UPDATE facts SET value = '1' WHERE key = 'format'")
    db.close()
    with pytest.raises(StoreError, match="another format"):
        Store(path)


def test_old_published_findings_go_and_nothing_else(path: Path) -> None:
    store = Store(path)
    found = [finding(ts=float(ts)) for ts in range(10)]
    incident, _ = Incidents(600).merge(found[0], "203.0.113.9")
    store.note(found, [incident], 1.0)
    store.published(f.id for f in found if f.ts != 2.0)
    # smaller batches than there are findings to remove
    assert store.prune(before_ts=7.0, batch=2) == 6
    assert [f.ts for f in store.findings()] == [2.0, 7.0, 8.0, 9.0]
    assert [f.ts for f in store.unpublished()] == [2.0]
    assert store.incident(incident.id) is not None
    assert store.prune(before_ts=7.0, batch=2) == 0
    store.note([finding(ts=11.0)], [], 1.0)
    store.close()


def test_a_former_owner_takes_no_progress_back(path: Path) -> None:
    """It may still save once when a new owner has gone on; a new owner, though, may begin further back."""
    store = Store(path)
    store.reach("events/0", {"clean": 3, "flagged": 1}, 50.0)
    store.reach("events/0", {"clean": 3}, 50.0)
    store.reach("events/0", {"clean": 3, "flagged": 1}, 49.0)
    assert (store.verdicts(), store.reached()) == ({"clean": 3, "flagged": 1}, {"events/0": 50.0})
    store.reach("events/0", {"clean": 2}, 40.0, loaded=True)
    assert (store.verdicts(), store.reached()) == ({"clean": 2}, {"events/0": 40.0})
    store.reach("events/0", {"clean": 5}, 60.0)
    assert (store.verdicts(), store.reached()) == ({"clean": 5}, {"events/0": 60.0})
