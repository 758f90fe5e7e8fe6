"""The outbox: one row per channel and incident, so that one attack is one message, and a dead server loses none."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Final

import msgspec

from responders.backoff import MAX_RETRY_AFTER_S, retry_delay_s
from responders.channel import Pending, SendError, severity_rank
from responders.database import connect, transaction
from responders.notice import Notice
from responders.outbox_rows import BACKLOG, DUE, NEXT, SCHEMA, encoded, pending, urgent

#: How long rows of incidents that no longer change are kept, so that a replay does not announce them again.
KEEP_S: Final = 30 * 86400.0


class Backlog(msgspec.Struct, frozen=True):
    """What a channel has not delivered: rows waiting, age of the oldest first message or 0, and what holds it up."""

    channel: str
    waiting: int
    oldest_s: float
    last_error: str


class Outbox:
    """The tables ``outbox`` and ``outbox_pauses`` of ``vedette.db``; safe to use from several threads.

    Delivery is at least once: a row is marked before its message leaves and again when it has arrived; a crash in
    between leaves it ``uncertain``, and the channel is told.
    """

    def __init__(self, path: Path) -> None:
        self._db = connect(path)
        self._db.row_factory = sqlite3.Row
        self._lock = threading.RLock()
        # A message lost to a power cut is never announced again, since the ledger holds its action as done: so FULL.
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def put(self, channel: str, notice: Notice, now: float) -> bool:
        """Queue the notice, replacing an older revision; False if there is nothing to tell.

        That is so if this revision or a newer one is known already, or if it says just what was sent last.
        """
        with transaction(self._db, self._lock) as db:
            row = _row(db, channel, notice.incident_id)
            if row is not None and row["revision"] >= notice.revision:
                return False
            sent = None if row is None else pending(row).sent
            told = sent is not None and msgspec.structs.replace(notice, revision=sent.revision) == sent
            db.execute(
                "INSERT INTO outbox (channel, incident_id, notice, revision, rank, urgent, first_queued_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET notice = excluded.notice, "
                "revision = excluded.revision, rank = excluded.rank, urgent = excluded.urgent",
                (
                    channel,
                    notice.incident_id,
                    encoded(notice),
                    notice.revision,
                    severity_rank(notice.severity),
                    urgent(notice, sent),
                    now,
                ),
            )
            if told:
                db.execute(
                    "UPDATE outbox SET sent_revision = revision WHERE channel = ? AND incident_id = ?",
                    (channel, notice.incident_id),
                )
            return not told

    def refresh(self, notice: Notice, now: float) -> list[str]:
        """Put the notice in each channel that has heard of its incident; the channels in which it was news."""
        with self._lock:
            rows = self._db.execute("SELECT channel FROM outbox WHERE incident_id = ?", (notice.incident_id,))
            channels = [row["channel"] for row in rows]
        return [channel for channel in channels if self.put(channel, notice, now)]

    def revision(self, channel: str, incident_id: str) -> int | None:
        """The newest revision queued or sent, None if the channel has none of the incident."""
        with self._lock:
            row = _row(self._db, channel, incident_id)
        return None if row is None else int(row["revision"])

    def due(self, channel: str, now: float, group_wait_s: float, group_interval_s: float) -> Pending | None:
        """The most pressing message that may go now: by severity, then new incidents before updates, then by age."""
        # A time far ahead can only come of a clock that was set back: it holds up nothing.
        horizon = max(MAX_RETRY_AFTER_S, group_wait_s, group_interval_s) + 1.0
        with self._lock:
            row = self._db.execute(
                DUE, {"channel": channel, "now": now, "horizon": horizon, **_timing(group_wait_s, group_interval_s)}
            ).fetchone()
        return None if row is None else pending(row)

    def due_at(self, channel: str, group_wait_s: float, group_interval_s: float) -> float | None:
        """When the next message may go (wall clock), None if none waits."""
        with self._lock:
            row = self._db.execute(NEXT, {"channel": channel, **_timing(group_wait_s, group_interval_s)}).fetchone()
        return None if row["at"] is None else float(row["at"])

    def begin(self, item: Pending) -> None:
        """Note that the message is about to leave; if nothing else is noted before a crash, it stays uncertain."""
        with transaction(self._db, self._lock) as db:
            db.execute(
                "UPDATE outbox SET uncertain = 1 WHERE channel = ? AND incident_id = ?",
                (item.channel, item.notice.incident_id),
            )

    def sent(self, item: Pending, remote_ref: str, now: float) -> None:
        """Note that the message arrived. The channel works, so its pause ends; rows long settled are dropped."""
        with transaction(self._db, self._lock) as db:
            row = _row(db, item.channel, item.notice.incident_id)
            newest = item.notice if row is None else pending(row).notice
            db.execute(
                "UPDATE outbox SET sent_notice = ?, sent_revision = ?, last_sent_at = ?, remote_ref = ?, urgent = ?, "
                "uncertain = 0, attempts = 0, next_try_at = 0, permanent = 0, last_error = '' "
                "WHERE channel = ? AND incident_id = ?",
                (
                    encoded(item.notice),
                    item.notice.revision,
                    now,
                    remote_ref,
                    urgent(newest, item.notice),
                    item.channel,
                    item.notice.incident_id,
                ),
            )
            db.execute("DELETE FROM outbox_pauses WHERE channel = ?", (item.channel,))
            db.execute("DELETE FROM outbox WHERE revision = sent_revision AND last_sent_at < ?", (now - KEEP_S,))

    def failed(self, item: Pending, error: SendError, now: float) -> float:
        """Note a failure; the seconds until the next try of the message or of its whole channel (``retry_delay_s``)."""
        key = (item.channel, item.notice.incident_id)
        with transaction(self._db, self._lock) as db:
            pause = db.execute("SELECT failures FROM outbox_pauses WHERE channel = ?", key[:1]).fetchone()
            failures = ((pause["failures"] if pause else 0) if error.whole_channel else item.attempts) + 1
            delay_s = retry_delay_s(error, failures)
            db.execute(
                "UPDATE outbox SET attempts = attempts + 1, last_error = ?, uncertain = ? "
                "WHERE channel = ? AND incident_id = ?",
                (error.detail, item.uncertain or error.uncertain, *key),
            )
            if error.whole_channel:
                db.execute(
                    "INSERT OR REPLACE INTO outbox_pauses VALUES (?, ?, ?, ?, ?)",
                    (item.channel, failures, now + delay_s, error.permanent, error.detail),
                )
            else:
                db.execute(
                    "UPDATE outbox SET next_try_at = ?, permanent = ? WHERE channel = ? AND incident_id = ?",
                    (now + delay_s, error.permanent, *key),
                )
        return delay_s

    def forgive(self) -> None:
        """Try at once what failed permanently: to be called on start, when a person may have cured the cause."""
        with transaction(self._db, self._lock) as db:
            db.execute("DELETE FROM outbox_pauses WHERE permanent")
            db.execute("UPDATE outbox SET next_try_at = 0, permanent = 0 WHERE permanent")

    def backlog(self, now: float) -> list[Backlog]:
        """Per channel with anything waiting, for metrics and the console."""
        with self._lock:
            rows = self._db.execute(BACKLOG).fetchall()
        return [
            Backlog(r["channel"], r["waiting"], 0.0 if r["oldest"] is None else max(now - r["oldest"], 0.0), r["error"])
            for r in rows
        ]


def _row(db: sqlite3.Connection, channel: str, incident_id: str) -> sqlite3.Row | None:
    found = db.execute("SELECT * FROM outbox WHERE channel = ? AND incident_id = ?", (channel, incident_id))
    row: sqlite3.Row | None = found.fetchone()
    return row


def _timing(group_wait_s: float, group_interval_s: float) -> dict[str, float]:
    return {"wait": group_wait_s, "interval": group_interval_s}
