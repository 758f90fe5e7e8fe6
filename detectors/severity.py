"""How bad a client finding is: a rule, not a setting, so that the same evidence always weighs the same."""

from __future__ import annotations

from typing import Final

from detectors.finding import Attack, Severity

#: Share of hits among the opinions of a run from which the client does little else.
DENSE: Final = 0.25


def severity(attack: Attack, hits: int, opinions: int, *, agreeing: bool, circumstantial: bool = False) -> Severity:
    """Severity of a crossing.

    Args:
        attack: kind of attack the detector speaks of.
        hits, opinions: of the run of hits that crossed.
        agreeing: a detector of another kind than abuse has crossed on this client before.
        circumstantial: of the detector (``detectors.contract.DetectorInfo``).

    Returns:
        medium for abuse, for evidence that trickled in (fewer than a quarter of the opinions hit), and for
        circumstantial evidence alone; critical if another detector agrees; else high.
    """
    if attack is Attack.ABUSE or hits < DENSE * opinions or (circumstantial and not agreeing):
        return Severity.MEDIUM
    return Severity.CRITICAL if agreeing else Severity.HIGH
