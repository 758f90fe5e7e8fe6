"""One try at applying an action or taking it back: checked afterwards, and never ending in an exception."""

from __future__ import annotations

from typing import Any

import msgspec

from responders.contract import Action
from responders.decision import Decision, Outcome, Why
from responders.retry import failure


def plan(action: Action, decision: Decision) -> str:
    """The action's plan in one line."""
    try:
        return action.plan(decision)
    except Exception as error:
        return f"no plan: {failure(error).detail}"


def apply(action: Action, decision: Decision, now: float) -> tuple[Outcome, bool]:
    """The outcome, and whether it is certain: False after an exception, when the effect may or may not be there.

    "Done" counts only if the action finds it so afterwards, and if its undo data can be stored.
    """
    try:
        outcome = action.apply(decision, now)
        msgspec.json.encode(outcome)
        if outcome.ok and not action.verify(decision, outcome.undo):
            return Outcome(ok=False, why=Why.TRANSIENT_ERROR, detail="done, but not found so", retry=True), True
    except Exception as error:
        return failure(error), False
    return outcome, True


def take_back(action: Action | None, decision: Decision, undo: dict[str, Any], now: float) -> Outcome:
    """The outcome; "done" counts only if the action no longer finds the effect."""
    if action is None:
        return Outcome(ok=False, why=Why.PERMANENT_ERROR, detail=f"{decision.type.value} is not configured")
    try:
        outcome = action.revert(decision, undo, now)
        if outcome.ok and action.verify(decision, undo):
            return Outcome(ok=False, why=Why.TRANSIENT_ERROR, detail="taken back, but still found so", retry=True)
    except Exception as error:
        return failure(error)
    return outcome
