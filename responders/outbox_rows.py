"""The outbox's tables, what a row holds, and the rule of when it may go, as SQL.

Timing follows Alertmanager (group_wait, group_interval): the first message about an incident waits for more evidence,
its updates come at most every interval. A change of status or a rise in severity (``urgent``) does not wait for the
interval. No row goes before its own ``next_try_at`` nor before its channel's pause is over.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Final

import msgspec

from responders.channel import Pending, severity_rank
from responders.notice import Notice

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS outbox (
    channel TEXT, incident_id TEXT, notice TEXT NOT NULL, revision INTEGER NOT NULL, rank INTEGER NOT NULL,
    urgent INTEGER NOT NULL DEFAULT 0, sent_notice TEXT, sent_revision INTEGER, last_sent_at REAL,
    remote_ref TEXT NOT NULL DEFAULT '', uncertain INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,
    next_try_at REAL NOT NULL DEFAULT 0, permanent INTEGER NOT NULL DEFAULT 0, last_error TEXT NOT NULL DEFAULT '',
    first_queued_at REAL NOT NULL, PRIMARY KEY (channel, incident_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox_pauses (
    channel TEXT PRIMARY KEY, failures INTEGER NOT NULL, resume_at REAL NOT NULL, permanent INTEGER NOT NULL,
    last_error TEXT NOT NULL) WITHOUT ROWID;
"""

_WAITING: Final = """
SELECT o.*, max(o.next_try_at, coalesce(p.resume_at, 0), CASE
    WHEN o.sent_revision IS NULL THEN o.first_queued_at + :wait
    WHEN o.urgent THEN 0
    ELSE o.last_sent_at + :interval END) AS due_at
FROM outbox o LEFT JOIN outbox_pauses p USING (channel)
WHERE channel = :channel AND (o.sent_revision IS NULL OR o.revision > o.sent_revision)
"""

#: The most pressing row that may go: by severity, then new incidents before updates, then by age. A time beyond the
#: horizon can only come of a clock that was set back since: it holds up nothing.
DUE: Final = f"""
SELECT * FROM ({_WAITING}) WHERE due_at <= :now OR due_at > :now + :horizon
ORDER BY rank DESC, sent_revision IS NOT NULL, due_at, incident_id LIMIT 1
"""  # noqa: S608 - built from a constant

NEXT: Final = f"SELECT min(due_at) AS at FROM ({_WAITING})"  # noqa: S608 - built from a constant

BACKLOG: Final = """
SELECT channel, count(*) AS waiting, min(CASE WHEN sent_revision IS NULL THEN first_queued_at END) AS oldest,
    coalesce(max(p.last_error), max(o.last_error)) AS error
FROM outbox o LEFT JOIN outbox_pauses p USING (channel)
WHERE sent_revision IS NULL OR revision > sent_revision GROUP BY channel ORDER BY channel
"""


def encoded(notice: Notice) -> str:
    """ASCII JSON: unlike UTF-8 it holds lone surrogates too, which hostile text may contain."""
    return json.dumps(msgspec.to_builtins(notice))


def decoded(text: str) -> Notice:
    return msgspec.convert(json.loads(text), Notice)


def pending(row: sqlite3.Row) -> Pending:
    return Pending(
        channel=row["channel"],
        notice=decoded(row["notice"]),
        sent=None if row["sent_notice"] is None else decoded(row["sent_notice"]),
        remote_ref=row["remote_ref"],
        attempts=row["attempts"],
        uncertain=bool(row["uncertain"]),
        first_queued_at=row["first_queued_at"],
    )


def urgent(notice: Notice, sent: Notice | None) -> bool:
    """Has the status changed, or the severity risen, since what people were told last?"""
    if sent is None:
        return False
    return notice.status != sent.status or severity_rank(notice.severity) > severity_rank(sent.severity)
