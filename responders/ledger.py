"""Every action's life, in SQLite: nothing is carried out that is not written here first, and nothing happens twice."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable
from pathlib import Path

import msgspec

from responders.database import connect, transaction
from responders.decision import ActionType, Decision, Status
from responders.record import ActionRecord, LogEntry

_SCHEMA = """
CREATE TABLE IF NOT EXISTS actions (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    incident_id TEXT NOT NULL,
    status TEXT NOT NULL,
    claimed_at REAL,
    expires_at REAL,
    next_try_at REAL,
    revision INTEGER NOT NULL,
    record TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS actions_status ON actions (status, type);
CREATE INDEX IF NOT EXISTS actions_expiry ON actions (status, expires_at);
CREATE INDEX IF NOT EXISTS actions_claimed ON actions (claimed_at);
CREATE INDEX IF NOT EXISTS actions_incident ON actions (incident_id);
CREATE TABLE IF NOT EXISTS action_log (
    n INTEGER PRIMARY KEY,
    action_id TEXT NOT NULL,
    ts REAL NOT NULL,
    from_status TEXT,
    to_status TEXT NOT NULL,
    why TEXT,
    detail TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS action_log_action ON action_log (action_id);
CREATE TRIGGER IF NOT EXISTS action_log_keeps BEFORE UPDATE ON action_log
    BEGIN SELECT RAISE(ABORT, 'the action log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS action_log_stays BEFORE DELETE ON action_log
    BEGIN SELECT RAISE(ABORT, 'the action log is append-only'); END;
"""
_BUSY_TIMEOUT_S = 10.0
_EFFECTS = tuple(kind for kind in ActionType if kind is not ActionType.NOTIFY)


class Ledger:
    """The tables ``actions`` and ``action_log`` in the SQLite file at ``path``, which may hold other tables too.

    Safe for several threads and processes: every change is a compare-and-set on the record's revision, written
    together with its log line in one transaction, on disk before the call returns.

    Raises:
        sqlite3.Error: from any method, when the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Created private: records name clients and addresses. SQLite gives its side files the same mode.
        # Only where there is none yet: to open and close a database that this process already has open would drop its
        # POSIX locks, and the next process to close it would delete the write-ahead log under us.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        self._mutex = threading.RLock()
        self._db = connect(path, _BUSY_TIMEOUT_S)
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    def record(self, decisions: Iterable[Decision], now: float) -> list[str]:
        """Take decisions in as pending, all or none; returns the ids that are new, a known id changing nothing.

        Raises:
            ValueError: a decision would not come back as it went in (a NaN time, a lone surrogate).
        """
        rows = [(d, _dump(ActionRecord(decision=d, recorded_at=now, updated_at=now))) for d in decisions]
        if not rows:
            return []
        new = []
        with transaction(self._db, self._mutex):
            for decision, text in rows:
                done = self._db.execute(
                    "INSERT OR IGNORE INTO actions (id, type, incident_id, status, revision, record)"
                    " VALUES (?, ?, ?, ?, 0, ?)",
                    (decision.id, decision.type, decision.incident_id, Status.PENDING, text),
                )
                if done.rowcount:
                    new.append(decision.id)
                    self._write_log(LogEntry(decision.id, now, None, Status.PENDING, None, ""))
        return new

    def save(self, record: ActionRecord, now: float) -> ActionRecord | None:
        """Write a changed record and its log line; returns it with its new revision.

        None, and nothing written, if it was changed since ``record`` was read: somebody else is at it.
        """
        new = msgspec.structs.replace(record, updated_at=now, revision=record.revision + 1)
        text, key = _dump(new), (record.decision.id, record.revision)
        with transaction(self._db, self._mutex):
            old = self._db.execute("SELECT status FROM actions WHERE id = ? AND revision = ?", key).fetchone()
            if old is None:
                return None
            self._db.execute(
                "UPDATE actions SET status = ?, claimed_at = ?, expires_at = ?, next_try_at = ?, revision = ?,"
                " record = ? WHERE id = ? AND revision = ?",
                (new.status, new.claimed_at, new.expires_at, new.next_try_at, new.revision, text, *key),
            )
            self._write_log(LogEntry(record.decision.id, now, Status(old[0]), new.status, new.why, new.detail))
        return new

    def get(self, action_id: str) -> ActionRecord | None:
        found = self._records("WHERE id = ?", action_id)
        return found[0] if found else None

    def pending(self, now: float) -> list[ActionRecord]:
        """To be carried out, oldest first; not those that wait for their next try."""
        return self._records("WHERE status = 'pending' AND ifnull(next_try_at, ?) <= ? ORDER BY n", now, now)

    def applying(self) -> list[ActionRecord]:
        """Begun to be carried out, outcome not written: being done just now, or cut short by a crash."""
        return self._records("WHERE status = 'applying' ORDER BY n")

    def due(self, now: float) -> list[ActionRecord]:
        """To be taken back: in force and past their time, or begun to be taken back and not waiting."""
        return self._records(
            "WHERE status = 'applied' AND expires_at <= ?"
            " OR status = 'reverting' AND ifnull(next_try_at, ?) <= ? ORDER BY n",
            *(now, now, now),
        )

    def active(self, now: float, kind: ActionType | None = None) -> list[ActionRecord]:
        """In force and unexpired, oldest first. Messages are left out: nothing of them is in force."""
        return self._records(
            "WHERE status = 'applied' AND type IN (?, ?, ?, ?) AND (expires_at IS NULL OR expires_at > ?) ORDER BY n",
            *(_EFFECTS if kind is None else (kind,) * len(_EFFECTS)),
            now,
        )

    def find(
        self,
        *,
        status: Status | None = None,
        kind: ActionType | None = None,
        incident_id: str | None = None,
        limit: int = 1000,
    ) -> list[ActionRecord]:
        """Actions that match every filter given, newest first."""
        return self._records(
            "WHERE (? IS NULL OR status = ?) AND (? IS NULL OR type = ?) AND (? IS NULL OR incident_id = ?)"
            " ORDER BY n DESC LIMIT ?",
            *(status, status, kind, kind, incident_id, incident_id, limit),
        )

    def counts(self) -> dict[Status, int]:
        """How many actions there are of each status; a status without any is absent."""
        with self._mutex:
            return {
                Status(row[0]): row[1] for row in self._db.execute("SELECT status, count(*) FROM actions GROUP BY 1")
            }

    def count_active(self, kind: ActionType, now: float, *, simulated: bool, but: str) -> int:
        """How many of this type are in force (or, simulated, would be), leaving out the action ``but``."""
        return self._count(
            "type = ? AND id <> ? AND (? AND status = 'simulated' AND expires_at > ?"
            " OR NOT ? AND status IN ('applying', 'applied', 'reverting'))",
            *(kind, but, simulated, now, simulated),
        )

    def count_since(self, since: float, *, simulated: bool, but: str) -> int:
        """How many actions, messages aside, were begun (or simulated) after ``since``, leaving out ``but``."""
        return self._count(
            "claimed_at > ? AND type <> 'notify' AND id <> ? AND (status = 'simulated') = ?", *(since, but, simulated)
        )

    def log(self, action_id: str) -> list[LogEntry]:
        """The whole history of one action, oldest first."""
        with self._mutex:
            rows = self._db.execute(
                "SELECT action_id, ts, from_status, to_status, why, detail FROM action_log"
                " WHERE action_id = ? ORDER BY n",
                (action_id,),
            ).fetchall()
        names = LogEntry.__struct_fields__
        return [msgspec.convert(dict(zip(names, row, strict=True)), LogEntry) for row in rows]

    def _write_log(self, entry: LogEntry) -> None:
        self._db.execute(
            "INSERT INTO action_log (action_id, ts, from_status, to_status, why, detail) VALUES (?, ?, ?, ?, ?, ?)",
            (entry.action_id, entry.ts, entry.from_status, entry.to_status, entry.why, entry.detail),
        )

    def _records(self, where: str, *values: str | float | None) -> list[ActionRecord]:
        query = f"SELECT record FROM actions {where}"  # noqa: S608 - fixed text from this file; values are bound
        with self._mutex:
            rows = self._db.execute(query, values).fetchall()
        return [msgspec.json.decode(row[0], type=ActionRecord) for row in rows]

    def _count(self, where: str, *values: str | float) -> int:
        query = f"SELECT count(*) FROM actions WHERE {where}"  # noqa: S608 - fixed text from this file; values are bound
        with self._mutex:
            return int(self._db.execute(query, values).fetchone()[0])


def _dump(record: ActionRecord) -> str:
    """The record as JSON; raises ValueError for what could not be read back."""
    text = msgspec.json.encode(record)
    msgspec.json.decode(text, type=ActionRecord)
    return text.decode()
