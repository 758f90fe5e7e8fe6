"""One action as the ledger knows it, and one line of its history."""

from __future__ import annotations

from typing import Any

import msgspec

from responders.decision import Decision, Status, Why


class ActionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A decision and what became of it. Times are wall clock, seconds since the epoch.

    Attributes:
        why, detail: why it is in this status; None and "" before anything was tried.
        plan: what carrying it out means, one line.
        undo: what the action said it needs to be taken back.
        attempts: failures in a row of what is being tried now, applying or taking back.
        next_try_at: not before this.
        claimed_at: when carrying out last began, or was simulated; the time to live counts from here.
        expires_at: when it is taken back; None for what does not expire.
        ends_as, ends_why, ends_detail: what ``reverting`` becomes once the effect is gone.
        asked_by: the operator who asked for it to be undone.
        revision: grows with every change; a change made from an older revision is refused.
    """

    decision: Decision
    status: Status = Status.PENDING
    why: Why | None = None
    detail: str = ""
    plan: str = ""
    undo: dict[str, Any] = {}
    attempts: int = 0
    next_try_at: float | None = None
    claimed_at: float | None = None
    expires_at: float | None = None
    ends_as: Status | None = None
    ends_why: Why | None = None
    ends_detail: str = ""
    asked_by: str = ""
    recorded_at: float
    updated_at: float
    revision: int = 0


class LogEntry(msgspec.Struct, frozen=True):
    """One change of an action; ``from_status`` is None where it was recorded."""

    action_id: str
    ts: float
    from_status: Status | None
    to_status: Status
    why: Why | None
    detail: str
