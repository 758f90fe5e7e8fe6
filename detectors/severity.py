"""How bad a client finding is: a rule, not a setting, so that the same evidence always weighs the same."""

from __future__ import annotations

from typing import Final

from detectors.finding import Attack, Severity

#: Share of hits among the opinions of a run from which the client does little else.
DENSE: Final = 0.25


def severity(attack: Attack, hits: int, opinions: int, *, agreeing: bool) -> Severity:
    """Severity of a crossing.

    Args:
        attack: kind of attack the detector speaks of.
        hits, opinions: of the run of hits that crossed.
        agreeing: a detector of another kind than abuse has crossed on this client before.

    Returns:
        medium for abuse, and for evidence that trickled in (fewer than a quarter of the opinions hit);
        critical if another detector agrees; else high.
    """
    if attack is Attack.ABUSE or hits < DENSE * opinions:
        return Severity.MEDIUM
    return Severity.CRITICAL if agreeing else Severity.HIGH
