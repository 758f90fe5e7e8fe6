"""Connections to one new file, of several at once."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from responders import database
from responders.database import connect


def writing(path: Path) -> sqlite3.Connection:
    """Another process in a new file: it writes, and has no write-ahead log yet."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other


def test_who_writes_to_a_new_file_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other, pauses = writing(tmp_path / "x.db"), []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            other.execute("COMMIT")

    monkeypatch.setattr(database.time, "sleep", pause)
    db = connect(tmp_path / "x.db")
    assert db.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
    assert len(pauses) == 3
    db.close()
    other.close()


def test_but_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr(database.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(database.time, "sleep", lambda _: None)
    other = writing(tmp_path / "x.db")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        connect(tmp_path / "x.db", timeout_s=5.0)
    other.close()


def test_what_is_no_database_is_an_error_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pause(seconds: float) -> None:
        raise AssertionError("waits for what never comes")

    monkeypatch.setattr(database.time, "sleep", pause)
    (tmp_path / "x.db").write_text("no database at all, but long enough to be looked at" * 40)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        connect(tmp_path / "x.db")
