"""The local store: state and the offsets it covers, findings and incidents, in one SQLite transaction.

One small interface keyed by partition, so that a changelog topic can take its place when workers share the load.
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
from responders.database import transaction

_SCHEMA = """
CREATE TABLE IF NOT EXISTS offsets (topic TEXT, partition INTEGER, next_offset INTEGER NOT NULL,
    PRIMARY KEY (topic, partition));
CREATE TABLE IF NOT EXISTS state (scope TEXT, key TEXT, value BLOB NOT NULL, PRIMARY KEY (scope, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS findings (id TEXT PRIMARY KEY, ts REAL NOT NULL, value BLOB NOT NULL,
    published INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS findings_unpublished ON findings (published) WHERE published = 0;
CREATE TABLE IF NOT EXISTS incidents (id TEXT PRIMARY KEY, opened_ts REAL NOT NULL, value BLOB NOT NULL,
    mark TEXT NOT NULL DEFAULT '', marked_by TEXT NOT NULL DEFAULT '', marks INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS addresses (ip TEXT, client TEXT, PRIMARY KEY (ip, client)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

#: (topic, partition) → offset of the next record to process.
Offsets = Mapping[tuple[str, int], int]


class Mark(NamedTuple):
    """What an operator said of an incident: ``status`` ("" for nothing), changed ``revision`` times."""

    status: str = ""
    revision: int = 0


class StoreError(UserError, RuntimeError):
    """The data directory cannot be used as it is; the message says why and what to do."""


class Store:
    """``vedette.db``. One writer (the worker); the command line reads, and writes only incident marks."""

    def __init__(self, path: Path) -> None:
        try:
            # Others may pass through, to the blocklist; what is private in it is closed by itself.
            path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
            # Several threads use this connection; a reader must not see a transaction that may be rolled back.
            self._lock = threading.RLock()
            self._db = sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            # WAL with NORMAL: after power loss the newest transactions may be gone, never torn; offsets go with
            # them, so Kafka delivers again what they covered.
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"cannot open {path}: {error}; check data_dir and its permissions") from error
        path.chmod(0o600)

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

    def state(self, scope: str) -> dict[str, bytes]:
        return dict(self._read("SELECT key, value FROM state WHERE scope = ?", scope))

    def next_offset(self, topic: str, partition: int) -> int:
        rows = self._read("SELECT next_offset FROM offsets WHERE topic = ? AND partition = ?", topic, partition)
        return int(rows[0][0]) if rows else 0

    def note(self, findings: Iterable[Finding], incidents: Iterable[Incident]) -> None:
        """What has been found, before anything is decided about it. Repeats after a crash change nothing."""
        with transaction(self._db, self._lock) as db:
            db.executemany(
                "INSERT OR IGNORE INTO findings (id, ts, value) VALUES (?, ?, ?)",
                [(f.id, f.ts, msgspec.json.encode(f)) for f in findings],
            )
            db.executemany(
                "INSERT INTO incidents (id, opened_ts, value) VALUES (?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET value = excluded.value",
                [(i.id, i.opened_ts, msgspec.json.encode(i)) for i in incidents],
            )

    def commit(
        self,
        state: Iterable[tuple[str, str, bytes | None]],
        offsets: Offsets,
        addresses: Iterable[tuple[str, str]] = (),
    ) -> None:
        """The checkpoint, all or nothing. ``state`` is (scope, key, value or None to delete)."""
        changes = list(state)
        with transaction(self._db, self._lock) as db:
            db.executemany(
                "INSERT OR REPLACE INTO state VALUES (?, ?, ?)", [(s, k, v) for s, k, v in changes if v is not None]
            )
            db.executemany(
                "DELETE FROM state WHERE scope = ? AND key = ?", [(s, k) for s, k, v in changes if v is None]
            )
            db.executemany(
                "INSERT OR REPLACE INTO offsets VALUES (?, ?, ?)", [(t, p, o) for (t, p), o in offsets.items()]
            )
            db.executemany("INSERT OR IGNORE INTO addresses VALUES (?, ?)", addresses)

    def unpublished(self, limit: int = 500) -> list[Finding]:
        """Findings that have not reached the findings topic yet, oldest first."""
        rows = self._read("SELECT value FROM findings WHERE published = 0 ORDER BY ts, id LIMIT ?", limit)
        return [msgspec.json.decode(value, type=Finding) for (value,) in rows]

    def published(self, ids: Iterable[str]) -> None:
        with transaction(self._db, self._lock) as db:
            db.executemany("UPDATE findings SET published = 1 WHERE id = ?", [(i,) for i in ids])

    def findings(self) -> list[Finding]:
        rows = self._read("SELECT value FROM findings ORDER BY ts, id")
        return [msgspec.json.decode(value, type=Finding) for (value,) in rows]

    def incidents(self) -> list[tuple[Incident, Mark]]:
        """Every incident with the operator's word on it, oldest first."""
        rows = self._read("SELECT value, mark, marks FROM incidents ORDER BY opened_ts, id")
        return [_marked(row) for row in rows]

    def incident(self, incident_id: str) -> tuple[Incident, Mark] | None:
        rows = self._read("SELECT value, mark, marks FROM incidents WHERE id = ?", incident_id)
        return _marked(rows[0]) if rows else None

    def mark(self, incident_id: str, status: str, by: str) -> bool:
        """The operator's word on an incident, "" to take it back; False if there is none with this id."""
        query = "UPDATE incidents SET mark = ?, marked_by = ?, marks = marks + 1 WHERE id = ?"
        return self._write(query, (status, by, incident_id)) == 1

    def clients_of(self, ip: str) -> int:
        """How many clients have used an address: more than a few is a NAT or a proxy."""
        return int(self._read("SELECT count(*) FROM addresses WHERE ip = ?", ip)[0][0])

    def clients_seen(self) -> int:
        """How many clients there are, of those that came with an address."""
        return int(self._read("SELECT count(DISTINCT client) FROM addresses")[0][0])

    def verdicts(self) -> dict[str, int]:
        """Events by verdict over all partitions, as of the last checkpoint, with dead letters as ``dead_letter``."""
        total: dict[str, int] = {}
        for meta in self._metas():
            for verdict, n in meta["verdicts"].items():
                total[verdict] = total.get(verdict, 0) + n
        return total

    def newest_event_ts(self) -> float:
        """Event time as far as it has come, over all partitions, as of the last checkpoint; 0 before any event."""
        return max((float(meta["watermark"]) for meta in self._metas()), default=0.0)

    def _metas(self) -> list[dict[str, Any]]:
        rows = self._read("SELECT value FROM state WHERE key = 'meta' AND scope LIKE 'partition/%'")
        return [msgspec.msgpack.decode(blob) for (blob,) in rows]

    def _read(self, query: str, *values: str | int) -> list[Any]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    def _write(self, query: str, values: tuple[str, ...]) -> int:
        with transaction(self._db, self._lock) as db:
            return db.execute(query, values).rowcount


def _marked(row: tuple[bytes, str, int]) -> tuple[Incident, Mark]:
    return msgspec.json.decode(row[0], type=Incident), Mark(row[1], row[2])
