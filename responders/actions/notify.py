"""The action that tells people: puts the incident's message in the outbox of every channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from responders.channel import severity_rank
from responders.decision import ActionType, Decision, Outcome, Why
from responders.notice import Notice
from responders.outbox import Outbox


class Notify:
    """Applied means queued for good: delivery, with its retries, is the outbox's business.

    Args:
        channels: names, as given to the ``Deliverer``.
        notice_for: the incident's message as of now, by incident id; None if the incident is not known (yet).
        min_severity: incidents below it are not announced.
        wake: called when there is something new to deliver, from the executor's thread.
    """

    type: ClassVar[ActionType] = ActionType.NOTIFY

    def __init__(
        self,
        outbox: Outbox,
        channels: tuple[str, ...],
        notice_for: Callable[[str], Notice | None],
        *,
        min_severity: str = "low",
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._outbox = outbox
        self._channels = channels
        self._notice_for = notice_for
        self._min_rank = severity_rank(min_severity)
        self._wake = wake

    def plan(self, decision: Decision) -> str:
        """See ``Action.plan``."""
        return f"tell {', '.join(self._channels) or 'nobody (no channel is configured)'} of {decision.incident_id}"

    def apply(self, decision: Decision, now: float) -> Outcome:
        """Queue the message; ``ALREADY_SO`` where every channel has this state of the incident or a newer one."""
        if not self._channels:
            return Outcome(ok=True, why=Why.NOTHING_TO_DO, detail="no channel is configured")
        notice = self._notice_for(decision.incident_id)
        if notice is None:
            # Decisions are recorded before their incident; after a crash in between it comes with the replay.
            return Outcome(ok=False, why=Why.TRANSIENT_ERROR, detail="incident not known yet", retry=True)
        if severity_rank(notice.severity) < self._min_rank:
            return Outcome(ok=True, why=Why.NOTHING_TO_DO, detail="below notifications.min_severity")
        undo = {"channels": list(self._channels), "revision": notice.revision}
        queued = [channel for channel in self._channels if self._outbox.put(channel, notice, now)]
        if not queued:
            detail = f"revision {notice.revision} was queued before"
            return Outcome(ok=True, why=Why.ALREADY_SO, detail=detail, undo=undo)
        self._wake()
        return Outcome(ok=True, why=Why.DONE, detail=f"queued for {', '.join(queued)}", undo=undo)

    def verify(self, decision: Decision, undo: dict[str, Any]) -> bool:
        """Does the outbox hold the message, or a newer one, for each channel it was queued for?"""
        revisions = [self._outbox.revision(channel, decision.incident_id) for channel in undo.get("channels", ())]
        return all(revision is not None and revision >= undo["revision"] for revision in revisions)

    def revert(self, decision: Decision, undo: dict[str, Any], now: float) -> Outcome:  # noqa: ARG002 - nothing to do
        """Nothing: what people have read cannot be unsent. The message's next update says what was undone."""
        return Outcome(
            ok=True, why=Why.NOTHING_TO_DO, detail="a message cannot be unsent; its update says what was undone"
        )
