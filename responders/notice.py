"""What a notifier is told about an incident: plain text and figures, to be escaped by whoever renders it."""

from __future__ import annotations

import msgspec


class Notice(msgspec.Struct, frozen=True):
    """One message about one incident; a newer Notice with the same ``incident_id`` updates the older.

    All strings may hold hostile text (client ids, model names): renderers escape and truncate.

    Attributes:
        revision: grows with every change of the incident; renderers and outbox keep the highest.
        facts: label and value pairs, in order of importance.
        timeline: (event time, text), oldest first.
        actions: one line per action with its outcome.
    """

    incident_id: str
    revision: int
    title: str
    severity: str
    status: str
    attack: str
    technique: str
    model: str
    subject: str
    summary: str
    first_seen: float
    last_seen: float
    findings: int
    dry_run: bool
    facts: tuple[tuple[str, str], ...] = ()
    timeline: tuple[tuple[float, str], ...] = ()
    actions: tuple[str, ...] = ()
