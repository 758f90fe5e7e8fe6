"""Carries decisions out and takes them back; writes each step into the ledger before and after it happens.

Knows no clock and no thread: the caller passes ``now`` (wall clock, seconds since the epoch) and runs it in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from responders import attempt
from responders.atomic_file import locked
from responders.contract import Action
from responders.decision import ActionType, Decision, Outcome, Status, Why
from responders.guard import Guard
from responders.ledger import Ledger
from responders.record import ActionRecord
from responders.retry import RetryPolicy
from responders.text import visible

_HOUR_S: Final = 3600.0
_RETRY: Final = RetryPolicy()


class Executor:
    """One per process that acts: the worker, and the command line for the moment of an undo.

    * ``applying`` is written before the effect and the outcome after it, so a crash leaves a row that ``recover``
      finds. Whoever acts holds a lock beside the ledger, which the kernel drops should its holder die.
    * Applying is tried a bounded number of times. Taking back is tried until it succeeds: a block that outlives its
      time is worse than a line in the log.
    * An action that answers "failed, no retry" has left nothing behind. After anything less clear (retries used up,
      an exception), what may be there is taken back before the action counts as failed.

    Args:
        dry_run: carry out nothing but messages, even if a decision does not say ``simulated``. Taking back still works.
    """

    def __init__(
        self,
        ledger: Ledger,
        actions: Mapping[ActionType, Action],
        guard: Guard,
        *,
        dry_run: bool,
        retry: RetryPolicy = _RETRY,
    ) -> None:
        self._ledger = ledger
        self._actions = actions
        self._guard = guard
        self._dry_run = dry_run
        self._retry = retry

    def recover(self, now: float) -> list[ActionRecord]:
        """Once at start: finish what a crash cut short, and lift what stands on the allowlist by now.

        Like the methods below it returns the records that changed, as they are now.
        """
        cut_short = self._each(self._ledger.applying(), self._resume, now)
        return cut_short + self._each(self._ledger.active(now), self._lift_if_allowlisted, now)

    def step(self, now: float) -> list[ActionRecord]:
        """Take back what is due, then carry out what is pending."""
        return self.expire_due(now) + self.run_pending(now)

    def run_pending(self, now: float) -> list[ActionRecord]:
        return self._each(self._ledger.pending(now), self._start, now)

    def expire_due(self, now: float) -> list[ActionRecord]:
        """Take back what is past its time; go on with what could not be taken back before."""
        return self._each(self._ledger.due(now), self._end, now)

    def undo(self, action_id: str, now: float, by: str) -> Outcome:
        """Take an action back for an operator, in whatever process this is.

        ``CHANGED_SINCE``: somebody else changed the effect; nothing was done and the action stays as it was.
        ``retry``: it could not be taken back now, and a running worker keeps trying.

        Raises:
            LookupError: no such action.
        """
        with locked(self._ledger.path):
            record = self._ledger.get(action_id)
            if record is None:
                raise LookupError(f"no action {visible(action_id, 100)}")
            if record.status in (Status.REVERTED, Status.EXPIRED):
                return Outcome(ok=True, why=Why.ALREADY_SO, detail=record.status.value)
            if record.decision.type is ActionType.NOTIFY:
                return Outcome(ok=False, why=Why.NOTHING_TO_DO, detail="a message cannot be taken back")
            if record.status in (Status.SIMULATED, Status.REFUSED, Status.FAILED):
                return Outcome(ok=False, why=Why.NOTHING_TO_DO, detail=f"{record.status.value}: nothing is in force")
            asked = msgspec.structs.replace(record, asked_by=visible(by, 100))
            after = self._close(asked, now, Status.REVERTED, Why.UNDONE_BY_OPERATOR, f"by {asked.asked_by}")
        if after is None or after.status is Status.REVERTING:
            return Outcome(ok=False, why=Why.TRANSIENT_ERROR, detail=after.detail if after else "", retry=True)
        return Outcome(ok=after.status is Status.REVERTED, why=after.why or Why.DONE, detail=after.detail)

    def _each(
        self,
        listed: Iterable[ActionRecord],
        act: Callable[[ActionRecord, float], ActionRecord | None],
        now: float,
    ) -> list[ActionRecord]:
        """One at a time under the lock, leaving out what somebody else, say an undo, has changed meanwhile."""
        changed = []
        for record in listed:
            with locked(self._ledger.path):
                if self._ledger.get(record.decision.id) == record:
                    changed.append(act(record, now))
        return [record for record in changed if record is not None]

    def _start(self, record: ActionRecord, now: float) -> ActionRecord | None:
        """Pending: refuse, simulate, or claim and apply."""
        decision, ttl_s = record.decision, self._guard.ttl_s(record.decision)
        refused = self._refusal(decision, now)
        if refused is not None and refused.why is not Why.DRY_RUN:
            return self._close(record, now, Status.REFUSED, refused.why, refused.detail)
        if ttl_s is not None and now >= record.recorded_at + ttl_s:
            return self._close(record, now, Status.EXPIRED, Why.TTL_PASSED, "waited longer than it was to last")
        plan = attempt.plan(self._actions[decision.type], decision)
        expires_at = None if ttl_s is None else now + ttl_s
        record = msgspec.structs.replace(record, claimed_at=now, expires_at=expires_at, plan=plan, next_try_at=None)
        if refused is not None:
            return self._close(record, now, Status.SIMULATED, Why.DRY_RUN, plan)
        claimed = self._move(record, now, Status.APPLYING, None, "")
        return claimed and self._apply(claimed, now)

    def _resume(self, record: ActionRecord, now: float) -> ActionRecord | None:
        """Applying, and whoever did it is gone: apply again, which finds the effect there or makes it so."""
        if record.expires_at is not None and record.expires_at <= now:
            return self._close(record, now, Status.EXPIRED, Why.TTL_PASSED, "its time passed while nobody was there")
        refused = self._refusal(record.decision, now)
        if refused is None:
            return self._apply(record, now)
        status = Status.SIMULATED if refused.why is Why.DRY_RUN else Status.REFUSED
        return self._close(record, now, status, refused.why, refused.detail)

    def _end(self, record: ActionRecord, now: float) -> ActionRecord | None:
        """Applied and due, or reverting."""
        if record.status is Status.REVERTING:
            return self._revert(record, now)
        return self._close(record, now, Status.EXPIRED, Why.TTL_PASSED, "")

    def _lift_if_allowlisted(self, record: ActionRecord, now: float) -> ActionRecord | None:
        refused = self._guard.target_refusal(record.decision)
        if refused is None or refused.why is not Why.ALLOWLISTED:
            return None
        return self._close(record, now, Status.REVERTED, refused.why, refused.detail)

    def _refusal(self, decision: Decision, now: float) -> Outcome | None:
        """Why not. The guard speaks before the dry run does, so that a dry run shows what would be refused."""
        if decision.type not in self._actions:
            return Outcome(ok=False, why=Why.NOTHING_TO_DO, detail=f"{decision.type.value} is not configured")
        simulated = decision.simulated or (self._dry_run and decision.type is not ActionType.NOTIFY)
        active = self._ledger.count_active(decision.type, now, simulated=simulated, but=decision.id)
        last_hour = self._ledger.count_since(now - _HOUR_S, simulated=simulated, but=decision.id)
        refused = self._guard.refusal(decision, active, last_hour) or self._undone_before(decision)
        return refused or (Outcome(ok=False, why=Why.DRY_RUN) if simulated else None)

    def _undone_before(self, decision: Decision) -> Outcome | None:
        """What an operator took back is not done again because the same incident escalates."""
        for record in self._ledger.find(status=Status.REVERTED, kind=decision.type, incident_id=decision.incident_id):
            if record.asked_by and (record.decision.scope, record.decision.value) == (decision.scope, decision.value):
                return Outcome(ok=False, why=Why.UNDONE_BY_OPERATOR, detail=f"{record.decision.id} {record.detail}")
        return None

    def _apply(self, record: ActionRecord, now: float) -> ActionRecord | None:
        since = now if record.claimed_at is None else record.claimed_at
        outcome, certain = attempt.apply(self._actions[record.decision.type], _as_claimed(record), since)
        if outcome.ok:
            record = msgspec.structs.replace(record, undo=outcome.undo, attempts=0)
            return self._move(record, now, Status.APPLIED, outcome.why, outcome.detail)
        if outcome.retry and record.attempts + 1 < self._retry.attempts:
            return self._postpone(record, now, Status.PENDING, outcome)
        failed = outcome.retry or outcome.why is Why.PERMANENT_ERROR
        status = Status.FAILED if failed else Status.REFUSED
        nothing_there = certain and not outcome.retry and not record.attempts
        settle = self._move if nothing_there else self._take_back
        return settle(record, now, status, outcome.why, outcome.detail)

    def _close(self, record: ActionRecord, now: float, status: Status, why: Why, detail: str) -> ActionRecord | None:
        """To a final status: at once if nothing can have been done yet, else by taking it back."""
        untouched = record.status is Status.PENDING and not record.attempts
        return (self._move if untouched else self._take_back)(record, now, status, why, detail)

    def _take_back(
        self, record: ActionRecord, now: float, ends_as: Status, why: Why, detail: str
    ) -> ActionRecord | None:
        if record.decision.type is ActionType.NOTIFY:
            return self._move(record, now, ends_as, why, detail)
        record = msgspec.structs.replace(
            record, ends_as=ends_as, ends_why=why, ends_detail=detail, attempts=0, next_try_at=None
        )
        begun = self._move(record, now, Status.REVERTING, why, detail)
        return begun and self._revert(begun, now)

    def _revert(self, record: ActionRecord, now: float) -> ActionRecord | None:
        action = self._actions.get(record.decision.type)
        outcome = attempt.take_back(action, _as_claimed(record), record.undo, now)
        ends_as, why = record.ends_as or Status.EXPIRED, record.ends_why or Why.TTL_PASSED
        if outcome.ok:
            return self._move(record, now, ends_as, why, record.ends_detail)
        if outcome.why is not Why.CHANGED_SINCE:
            return self._postpone(record, now, Status.REVERTING, outcome)
        # What is there now is somebody else's. That refuses an operator, who can look; for the rest it is over.
        status = Status.APPLIED if why is Why.UNDONE_BY_OPERATOR else ends_as
        return self._move(record, now, status, outcome.why, outcome.detail)

    def _postpone(self, record: ActionRecord, now: float, status: Status, outcome: Outcome) -> ActionRecord | None:
        failures = record.attempts + 1
        record = msgspec.structs.replace(record, attempts=failures, next_try_at=now + self._retry.delay_s(failures))
        return self._move(record, now, status, outcome.why, outcome.detail)

    def _move(
        self, record: ActionRecord, now: float, status: Status, why: Why | None, detail: str
    ) -> ActionRecord | None:
        return self._ledger.save(msgspec.structs.replace(record, status=status, why=why, detail=detail), now)


def _as_claimed(record: ActionRecord) -> Decision:
    """The decision with the time to live it was claimed with, capped as it was then."""
    if record.claimed_at is None or record.expires_at is None:
        return msgspec.structs.replace(record.decision, ttl_s=None)
    return msgspec.structs.replace(record.decision, ttl_s=record.expires_at - record.claimed_at)
