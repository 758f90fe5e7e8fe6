"""The data folder's database: findings, incidents, how far partitions have come; and state, where it is kept locally.

Workers of one machine share it. What they write is the same whoever writes it: ids are deterministic.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from detectors.finding import Finding
from monitor.errors import UserError
from monitor.incidents import Incident
from responders.database import connect, transaction

_SCHEMA = """
CREATE TABLE IF NOT EXISTS scopes (scope TEXT PRIMARY KEY, owner TEXT NOT NULL, next_offset INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS state (scope TEXT, key TEXT, value BLOB NOT NULL, PRIMARY KEY (scope, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS findings (id TEXT PRIMARY KEY, ts REAL NOT NULL, value BLOB NOT NULL,
    noted REAL NOT NULL, published INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS findings_unpublished ON findings (published) WHERE published = 0;
CREATE TABLE IF NOT EXISTS incidents (id TEXT PRIMARY KEY, opened_ts REAL NOT NULL, value BLOB NOT NULL,
    revision INTEGER NOT NULL, change INTEGER NOT NULL,
    mark TEXT NOT NULL DEFAULT '', marked_by TEXT NOT NULL DEFAULT '', marks INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS incidents_change ON incidents (change);
CREATE TABLE IF NOT EXISTS progress (scope TEXT PRIMARY KEY, verdicts BLOB NOT NULL, event_ts REAL NOT NULL);
CREATE TABLE IF NOT EXISTS addresses (ip TEXT, client TEXT, PRIMARY KEY (ip, client)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

#: Raised when the tables change: a folder of another version is refused.
FORMAT = "2"
#: In the place of the offset of a scope that has an owner and no state yet.
_NEVER_SAVED = -1
_NOTE_INCIDENT = """
INSERT INTO incidents (id, opened_ts, value, revision, change)
    VALUES (?, ?, ?, ?, (SELECT coalesce(max(change), 0) + 1 FROM incidents))
    ON CONFLICT (id) DO UPDATE SET value = excluded.value, revision = excluded.revision, change = excluded.change
    WHERE excluded.revision > revision
"""
_MARK_INCIDENT = """
UPDATE incidents SET mark = ?, marked_by = ?, marks = marks + 1,
    change = (SELECT coalesce(max(change), 0) + 1 FROM incidents) WHERE id = ?
"""


class Mark(NamedTuple):
    """What an operator said of an incident: ``status`` ("" for nothing), changed ``revision`` times."""

    status: str = ""
    revision: int = 0


class StoreError(UserError, RuntimeError):
    """The data directory cannot be used as it is; the message says why and what to do."""


class Store:
    """``vedette.db``. Workers write; the command line reads, and writes only incident marks."""

    def __init__(self, path: Path) -> None:
        try:
            # Others may pass through, to the blocklist; what is private in it is closed by itself.
            path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
            # Several threads use this connection; a reader must not see a transaction that may be rolled back.
            self._lock = threading.RLock()
            self._db = connect(path)
            # WAL with NORMAL: after power loss the newest transactions may be gone, never torn; offsets go with
            # them, so Kafka delivers again what they covered.
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"cannot open {path}: {error}; check data_dir and its permissions") from error
        path.chmod(0o600)
        self.pin("format", FORMAT)

    def close(self) -> None:
        self._db.close()

    def pin(self, key: str, value: str) -> None:
        """State made under one value (baseline checksum, format) must not be read under another.

        Raises StoreError on a mismatch.
        """
        self._write("INSERT OR IGNORE INTO facts VALUES (?, ?)", (key, value))
        ((known,),) = self._read("SELECT value FROM facts WHERE key = ?", key)
        if known != value:
            raise StoreError(
                f"the state in this data directory was made with another {key} ({known[:16]}…, now {value[:16]}…); "
                "use a new data_dir, or go back to the former one"
            )

    def take_state(self, scope: str, owner: str) -> tuple[dict[str, bytes], int | None]:
        """A scope's state and the source offset it covers, None if it was never saved; now ``owner`` alone may save."""
        with transaction(self._db, self._lock) as db:
            db.execute(
                "INSERT INTO scopes VALUES (?, ?, ?) ON CONFLICT (scope) DO UPDATE SET owner = excluded.owner",
                (scope, owner, _NEVER_SAVED),
            )
            values = db.execute("SELECT key, value FROM state WHERE scope = ?", (scope,)).fetchall()
            ((offset,),) = db.execute("SELECT next_offset FROM scopes WHERE scope = ?", (scope,)).fetchall()
        return dict(values), None if offset == _NEVER_SAVED else int(offset)

    def save_state(self, scope: str, owner: str, changes: Mapping[str, bytes | None], next_offset: int) -> bool:
        """A checkpoint, all or nothing; False, and nothing done, if the scope has another owner. None deletes."""
        with transaction(self._db, self._lock) as db:
            query = "UPDATE scopes SET next_offset = ? WHERE scope = ? AND owner = ?"
            if db.execute(query, (next_offset, scope, owner)).rowcount == 0:
                return False
            db.executemany(
                "INSERT OR REPLACE INTO state VALUES (?, ?, ?)",
                [(scope, key, blob) for key, blob in changes.items() if blob is not None],
            )
            db.executemany(
                "DELETE FROM state WHERE scope = ? AND key = ?",
                [(scope, key) for key, blob in changes.items() if blob is None],
            )
        return True

    def note(self, findings: Iterable[Finding], incidents: Iterable[Incident], now: float) -> None:
        """What has been found, before anything is decided about it. Repeats after a crash change nothing."""
        with transaction(self._db, self._lock) as db:
            db.executemany(
                "INSERT OR IGNORE INTO findings (id, ts, value, noted) VALUES (?, ?, ?, ?)",
                [(f.id, f.ts, msgspec.json.encode(f), now) for f in findings],
            )
            # A worker that works through records again says again what it said of an incident when it was younger.
            db.executemany(
                _NOTE_INCIDENT,
                [(i.id, i.opened_ts, msgspec.json.encode(i), i.revision) for i in incidents],
            )

    def reach(self, scope: str, verdicts: Mapping[str, int], event_ts: float, *, loaded: bool = False) -> None:
        """How far a scope's last checkpoint has come; for people and the command line, nobody recovers from it.

        A former owner that does not know yet takes nothing back: only whoever has just ``loaded`` may say less.
        """
        reached = (sum(verdicts.values()), event_ts)
        with transaction(self._db, self._lock) as db:
            known = db.execute("SELECT verdicts, event_ts FROM progress WHERE scope = ?", (scope,)).fetchone()
            if known and not loaded:
                counted = sum(msgspec.json.decode(known[0], type=dict[str, int]).values())
                if (counted, float(known[1])) > reached:
                    return
            values = (scope, msgspec.json.encode(verdicts), event_ts)
            db.execute("INSERT OR REPLACE INTO progress VALUES (?, ?, ?)", values)

    def address(self, pairs: Iterable[tuple[str, str]]) -> None:
        """(address, client) pairs that came together."""
        with transaction(self._db, self._lock) as db:
            db.executemany("INSERT OR IGNORE INTO addresses VALUES (?, ?)", pairs)

    def changed(self, since: int) -> tuple[list[str], int]:
        """Ids of incidents that changed since a number that a former call gave (0 at first), and the next number."""
        rows = self._read("SELECT id, change FROM incidents WHERE change > ? ORDER BY change", since)
        return [i for i, _ in rows], max((change for _, change in rows), default=since)

    def unpublished(self, noted_before: float = float("inf"), limit: int = 500) -> list[Finding]:
        """Findings that have not reached the findings topic yet, oldest first; of those noted before a time."""
        query = "SELECT value FROM findings WHERE published = 0 AND noted < ? ORDER BY ts, id LIMIT ?"
        rows = self._read(query, noted_before, limit)
        return [msgspec.json.decode(value, type=Finding) for (value,) in rows]

    def published(self, ids: Iterable[str]) -> None:
        with transaction(self._db, self._lock) as db:
            db.executemany("UPDATE findings SET published = 1 WHERE id = ?", [(i,) for i in ids])

    def findings(self) -> list[Finding]:
        rows = self._read("SELECT value FROM findings ORDER BY ts, id")
        return [msgspec.json.decode(value, type=Finding) for (value,) in rows]

    def found(self, since: int) -> tuple[list[Finding], int]:
        """Findings noted since a number that a former call gave (0 at first), and the next number."""
        rows = self._read("SELECT value, rowid FROM findings WHERE rowid > ? ORDER BY rowid", since)
        findings = [msgspec.json.decode(value, type=Finding) for value, _ in rows]
        return findings, max((row for _, row in rows), default=since)

    def prune(self, before_ts: float, batch: int = 1000) -> int:
        """Remove published findings older than ``before_ts`` (event time); how many. Others can write between batches.

        Incidents and the ledger stay: they are the record of what was done to whom, and grow with attacks alone.
        """
        query = "DELETE FROM findings WHERE id IN (SELECT id FROM findings WHERE published = 1 AND ts < ? LIMIT ?)"
        removed = 0
        while found := self._write(query, (before_ts, batch)):
            removed += found
        return removed

    def incidents(self) -> list[tuple[Incident, Mark]]:
        """Every incident with the operator's word on it, oldest first."""
        rows = self._read("SELECT value, mark, marks FROM incidents ORDER BY opened_ts, id")
        return [_marked(row) for row in rows]

    def incident(self, incident_id: str) -> tuple[Incident, Mark] | None:
        rows = self._read("SELECT value, mark, marks FROM incidents WHERE id = ?", incident_id)
        return _marked(rows[0]) if rows else None

    def mark(self, incident_id: str, status: str, by: str) -> bool:
        """The operator's word on an incident, "" to take it back; False if there is none with this id."""
        return self._write(_MARK_INCIDENT, (status, by, incident_id)) == 1

    def clients_of(self, ip: str) -> int:
        """How many clients have used an address: more than a few is a NAT or a proxy."""
        return int(self._read("SELECT count(*) FROM addresses WHERE ip = ?", ip)[0][0])

    def clients_seen(self) -> int:
        """How many clients there are, of those that came with an address."""
        return int(self._read("SELECT count(DISTINCT client) FROM addresses")[0][0])

    def verdicts(self) -> dict[str, int]:
        """Events by verdict over all partitions, as of the last checkpoint, with dead letters as ``dead_letter``."""
        total: dict[str, int] = {}
        for (raw,) in self._read("SELECT verdicts FROM progress"):
            for verdict, n in msgspec.json.decode(raw, type=dict[str, int]).items():
                total[verdict] = total.get(verdict, 0) + n
        return total

    def newest_event_ts(self) -> float:
        """Event time as far as it has come, over all partitions, as of the last checkpoint; 0 before any event."""
        ((newest,),) = self._read("SELECT max(event_ts) FROM progress")
        return max(float(newest or 0.0), 0.0)

    def reached(self) -> dict[str, float]:
        """Event time by scope, as of its last checkpoint."""
        return {scope: float(ts) for scope, ts in self._read("SELECT scope, event_ts FROM progress")}

    def _read(self, query: str, *values: str | float) -> list[Any]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    def _write(self, query: str, values: tuple[str | bytes | float, ...]) -> int:
        with transaction(self._db, self._lock) as db:
            return db.execute(query, values).rowcount


def _marked(row: tuple[bytes, str, int]) -> tuple[Incident, Mark]:
    return msgspec.json.decode(row[0], type=Incident), Mark(row[1], row[2])
