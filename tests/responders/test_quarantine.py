"""Quarantine: hostile names, private records, each request once, never unbounded."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import pytest
from actions_kit import crash_at_file_call, decision
from hypothesis import given, settings
from hypothesis import strategies as st

from responders.actions.quarantine import MANIFEST, QuarantineAction
from responders.atomic_file import locked
from responders.decision import ActionType, Decision, Why
from responders.quarantine_store import REQUESTS, TRUNCATED, QuarantineStore, Stored, folder_name

HOSTILE = ["../../etc", "..", ".", "", "a/b", "a\x00b", "x" * 10_000, "ключ", "\u202e\n", "CON", "-rf", "~root", "*"]


def quarantine(
    id: str = "act-1", value: str = "acct-7", ttl_s: float | None = 900.0, model: str = "digits"
) -> Decision:
    return decision(ActionType.QUARANTINE, value, id=id, ttl_s=ttl_s, model=model, incident_id=f"of-{id}")


def event(i: int, size: int = 0) -> tuple[str, bytes]:
    return f"r-{i}", json.dumps({"id": f"r-{i}", "inputs": [0.5], "pad": "x" * size}).encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "quarantine"


@pytest.fixture
def action(folder: Path) -> QuarantineAction:
    return QuarantineAction(folder)


@pytest.fixture
def store(folder: Path) -> QuarantineStore:
    return QuarantineStore(folder)


def stored_ids(folder: Path, model: str = "digits", client: str = "client:acct-7") -> list[str]:
    lines = (folder / folder_name(model, client) / REQUESTS).read_bytes().splitlines()
    return [json.loads(line)["id"] for line in lines]


def manifest(folder: Path, client: str = "client:acct-7") -> dict[str, object]:
    content: dict[str, object] = json.loads((folder / folder_name("digits", client) / MANIFEST).read_bytes())
    return content


def test_a_client_is_quarantined_while_it_lasts(action: QuarantineAction, folder: Path) -> None:
    action.apply(quarantine(ttl_s=60.0), 100.0)
    assert action.is_quarantined("digits", "client:acct-7", 159.9)
    assert not action.is_quarantined("digits", "client:acct-7", 160.0)
    assert not action.is_quarantined("other", "client:acct-7", 110.0)
    assert not action.is_quarantined("digits", "ip:acct-7", 110.0)
    assert manifest(folder) == {
        "model": "digits",
        "client": "client:acct-7",
        "state": "open",
        "opened_at": 100.0,
        "released_at": None,
        "holds": {"act-1": {"incident": "of-act-1", "since": 100.0, "until": 160.0}},
        "incidents": ["of-act-1"],
    }


def test_release_keeps_the_evidence(action: QuarantineAction, store: QuarantineStore, folder: Path) -> None:
    action.apply(quarantine(), 100.0)
    store.store("digits", "client:acct-7", [event(1)])
    action.revert(quarantine(), {}, 200.0)
    assert not action.is_quarantined("digits", "client:acct-7", 150.0)
    assert stored_ids(folder) == ["r-1"]
    assert (manifest(folder)["state"], manifest(folder)["released_at"]) == ("released", 200.0)
    assert manifest(folder)["incidents"] == ["of-act-1"]
    action.apply(quarantine("act-2"), 300.0)
    assert (manifest(folder)["state"], manifest(folder)["opened_at"]) == ("open", 300.0)
    assert manifest(folder)["incidents"] == ["of-act-1", "of-act-2"]


def test_one_of_two_decisions_does_not_release(action: QuarantineAction) -> None:
    action.apply(quarantine(), 100.0)
    action.apply(quarantine("act-2"), 100.0)
    action.revert(quarantine(), {}, 200.0)
    assert action.is_quarantined("digits", "client:acct-7", 200.0)
    action.revert(quarantine("act-2"), {}, 200.0)
    assert not action.is_quarantined("digits", "client:acct-7", 200.0)


def test_another_process_s_release_is_seen(action: QuarantineAction, folder: Path) -> None:
    action.apply(quarantine(), 100.0)
    QuarantineAction(folder).revert(quarantine(), {}, 110.0)
    assert not action.is_quarantined("digits", "client:acct-7", 110.0)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_stay_inside(
    action: QuarantineAction, store: QuarantineStore, folder: Path, tmp_path: Path, hostile: str
) -> None:
    held = quarantine(value=hostile, model=hostile)
    assert action.apply(held, 100.0).ok
    assert action.is_quarantined(hostile, f"client:{hostile}", 110.0)
    assert store.store(hostile, f"client:{hostile}", [event(1)]).stored == 1
    assert action.plan(held).isprintable()
    assert [path.name for path in tmp_path.iterdir()] == ["quarantine"]
    (inside,) = folder.iterdir()
    assert inside.name.isascii()
    assert inside.name[0] not in ".-~"
    assert len(inside.name) < 100
    assert json.loads((inside / MANIFEST).read_bytes())["client"] == f"client:{hostile}"


@given(st.lists(st.tuples(st.text(max_size=40), st.text(max_size=40)), unique=True, max_size=20))
def test_different_clients_get_different_folders(pairs: list[tuple[str, str]]) -> None:
    names = [folder_name(model, client) for model, client in pairs]
    assert len(set(names)) == len(names)
    assert all("/" not in name and name.isascii() and name.isprintable() for name in names)


def test_records_are_private(action: QuarantineAction, store: QuarantineStore, folder: Path) -> None:
    folder.mkdir(mode=0o755)
    before = os.umask(0)
    try:
        action.apply(quarantine(), 100.0)
        store.store("digits", "client:acct-7", [event(1)])
        QuarantineStore(folder, max_client_bytes=1).store("digits", "client:acct-7", [event(2)])
    finally:
        os.umask(before)
    for path in [folder, *folder.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_folders_that_are_symlinks_are_refused(action: QuarantineAction, folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    folder.mkdir()
    (folder / folder_name("digits", "client:acct-7")).symlink_to(elsewhere)
    outcome = action.apply(quarantine(), 100.0)
    assert (outcome.why, outcome.retry) == (Why.PERMANENT_ERROR, False)
    with pytest.raises(OSError, match=r"Not a directory|symbolic"):
        QuarantineStore(folder).store("digits", "client:acct-7", [event(1)])
    assert list(elsewhere.iterdir()) == []
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o755


def test_a_missing_parent_and_a_damaged_manifest_are_clear_errors(
    tmp_path: Path, action: QuarantineAction, folder: Path
) -> None:
    outcome = QuarantineAction(tmp_path / "missing" / "quarantine").apply(quarantine(), 100.0)
    assert (outcome.why, outcome.retry) == (Why.PERMANENT_ERROR, False)
    assert "missing" in outcome.detail
    action.apply(quarantine(), 100.0)
    path = folder / folder_name("digits", "client:acct-7") / MANIFEST
    path.write_text("{")
    for damaged in (action.apply(quarantine("act-2"), 100.0), action.revert(quarantine(), {}, 100.0)):
        assert damaged.why is Why.PERMANENT_ERROR
        assert MANIFEST in damaged.detail
    assert path.read_text() == "{"


def test_a_quarantine_without_an_end_is_refused(action: QuarantineAction, folder: Path) -> None:
    assert action.apply(quarantine(ttl_s=None), 100.0).why is Why.INVALID_TARGET
    assert not folder.exists()


def test_requests_are_stored_once(store: QuarantineStore, folder: Path) -> None:
    assert store.store("digits", "client:acct-7", [event(1), event(2), event(1)]) == Stored(2, 1, 0)
    assert store.store("digits", "client:acct-7", [event(2), event(3)]) == Stored(1, 1, 0)
    assert store.store("digits", "client:acct-8", [event(1)]) == Stored(1, 0, 0)
    after_restart = QuarantineStore(folder)
    assert after_restart.store("digits", "client:acct-7", [event(i) for i in range(1, 5)]) == Stored(1, 3, 0)
    assert stored_ids(folder) == ["r-1", "r-2", "r-3", "r-4"]


def test_the_record_is_in_the_public_event_format(store: QuarantineStore, folder: Path) -> None:
    raw = b'{"id":"r-1","ts":1763683200.25,"model":"digits","inputs":[0,0.5]}'
    store.store("digits", "client:acct-7", [("r-1", raw)])
    assert (folder / folder_name("digits", "client:acct-7") / REQUESTS).read_bytes() == raw + b"\n"


def test_a_line_cut_short_is_dropped_and_its_replay_stored(store: QuarantineStore, folder: Path) -> None:
    store.store("digits", "client:acct-7", [event(1), event(2)])
    path = folder / folder_name("digits", "client:acct-7") / REQUESTS
    path.write_bytes(path.read_bytes()[:-5])
    assert QuarantineStore(folder).store("digits", "client:acct-7", [event(1), event(2)]) == Stored(1, 1, 0)
    assert stored_ids(folder) == ["r-1", "r-2"]


@settings(max_examples=25)
@given(st.data())
def test_a_file_cut_anywhere_is_made_whole_by_the_replay(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("q") / "quarantine"
    events = [event(i, size=i * 7) for i in range(6)]
    QuarantineStore(folder).store("digits", "client:acct-7", events)
    path = folder / folder_name("digits", "client:acct-7") / REQUESTS
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    QuarantineStore(folder).store("digits", "client:acct-7", events)
    assert path.read_bytes() == whole


def test_a_client_s_record_is_bounded_and_says_so(folder: Path) -> None:
    size = len(event(1)[1]) + 1
    store = QuarantineStore(folder, max_client_bytes=3 * size)
    assert store.store("digits", "client:acct-7", [event(i) for i in range(5)]) == Stored(3, 0, 2)
    assert store.store("digits", "client:acct-7", [event(0), event(9)]) == Stored(0, 1, 1)
    record = folder / folder_name("digits", "client:acct-7")
    assert (record / REQUESTS).stat().st_size == 3 * size
    assert (record / TRUNCATED).exists()
    assert store.store("digits", "client:acct-8", [event(1)]) == Stored(1, 0, 0)
    assert not (folder / folder_name("digits", "client:acct-8") / TRUNCATED).exists()


def test_all_records_together_are_bounded_also_after_a_restart(folder: Path) -> None:
    size = len(event(1)[1]) + 1
    store = QuarantineStore(folder, max_total_bytes=3 * size)
    assert store.store("digits", "client:a", [event(1), event(2)]).stored == 2
    assert store.store("digits", "client:b", [event(1), event(2)]) == Stored(1, 0, 1)
    again = QuarantineStore(folder, max_total_bytes=3 * size)
    assert again.store("digits", "client:c", [event(1)]) == Stored(0, 0, 1)
    (folder / folder_name("digits", "client:a") / REQUESTS).unlink()
    again.rescan()
    assert again.store("digits", "client:c", [event(1)]) == Stored(1, 0, 0)


def test_many_clients_do_not_lose_their_place(folder: Path) -> None:
    store = QuarantineStore(folder)
    for _ in range(2):
        counts = [store.store("digits", f"client:{i}", [event(1)]) for i in range(300)]
    assert counts == [Stored(0, 1, 0)] * 300


def test_a_record_deleted_meanwhile_starts_anew(store: QuarantineStore, folder: Path) -> None:
    store.store("digits", "client:acct-7", [event(1)])
    (folder / folder_name("digits", "client:acct-7") / REQUESTS).unlink()
    assert store.store("digits", "client:acct-7", [event(1)]) == Stored(1, 0, 0)


def test_a_full_disk_stores_nothing_of_the_call(
    store: QuarantineStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.store("digits", "client:acct-7", [event(1)])

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            store.store("digits", "client:acct-7", [event(2), event(3)])
    assert stored_ids(folder) == ["r-1"]
    assert store.store("digits", "client:acct-7", [event(2), event(3)]) == Stored(2, 0, 0)
    assert stored_ids(folder) == ["r-1", "r-2", "r-3"]


def test_two_lines_in_one_event_are_a_mistake(store: QuarantineStore, folder: Path) -> None:
    with pytest.raises(ValueError, match="one line"):
        store.store("digits", "client:acct-7", [event(1), ("r-2", b'{"id":"r-2"}\n{"id":"r-3"}')])
    assert not folder.exists()


def test_a_crash_at_any_file_call_stores_each_request_once(tmp_path: Path) -> None:
    crashes = 0
    while True:
        folder = tmp_path / str(crashes)
        with crash_at_file_call(crashes, folder) as crashed:
            store = QuarantineStore(folder)
            store.store("digits", "client:acct-7", [event(1)])
            store.store("digits", "client:acct-7", [event(2), event(3)])
        again = QuarantineStore(folder)
        again.store("digits", "client:acct-7", [event(1), event(2), event(3)])
        assert stored_ids(folder) == ["r-1", "r-2", "r-3"]
        if not crashed[0]:
            break
        crashes += 1
    assert crashes >= 5


def test_of_two_workers_that_store_a_request_at_once_one_waits_and_finds_it_there(
    store: QuarantineStore, folder: Path
) -> None:
    """One that has lost a partition and does not know yet, and the one that has taken it over."""
    store.store("digits", "client:acct-7", [event(0)])
    file, found = folder / folder_name("digits", "client:acct-7") / REQUESTS, Queue[Stored]()
    other = Thread(target=lambda: found.put(store.store("digits", "client:acct-7", [event(1)])))
    with locked(file):
        other.start()
        with pytest.raises(Empty):
            found.get(timeout=0.2)
        with file.open("ab") as written:
            written.write(event(1)[1] + b"\n")
    assert found.get(timeout=30.0) == Stored(0, 1, 0)
    other.join()
    assert stored_ids(folder) == ["r-0", "r-1"]
