"""What every action keeps: plan, apply, verify, revert; idempotent; says whether a failure is worth a retry."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from responders.decision import ActionType, Decision, Outcome


class Action(Protocol):
    """Drives one effect. Never sleeps or retries by itself; that is the executor's wrapper.

    All methods are synchronous and quick (files, symlinks, SQLite); the executor calls them in a thread.
    """

    type: ClassVar[ActionType]

    def plan(self, decision: Decision) -> str:
        """One line saying what apply would do, for dry-run and for people. Changes nothing."""
        ...

    def apply(self, decision: Decision, now: float) -> Outcome:
        """Make it so; a second call with the same decision finds it so and answers ``ALREADY_SO``."""
        ...

    def verify(self, decision: Decision, undo: dict[str, Any]) -> bool:
        """Is the effect really there?"""
        ...

    def revert(self, decision: Decision, undo: dict[str, Any], now: float) -> Outcome:
        """Take back exactly what apply did; refuses with ``CHANGED_SINCE`` if somebody changed it meanwhile."""
        ...
