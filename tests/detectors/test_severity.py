"""The severity rule, case by case."""

from __future__ import annotations

import pytest

from detectors.finding import Attack, Severity
from detectors.severity import severity


@pytest.mark.parametrize(
    ("attack", "hits", "opinions", "agreeing", "expected"),
    [
        (Attack.EVASION, 5, 6, False, Severity.HIGH),
        (Attack.EXTRACTION, 5, 20, False, Severity.HIGH),
        (Attack.EXTRACTION, 5, 21, False, Severity.MEDIUM),
        (Attack.EVASION, 5, 6, True, Severity.CRITICAL),
        (Attack.EVASION, 5, 100, True, Severity.MEDIUM),
        (Attack.ABUSE, 9, 9, True, Severity.MEDIUM),
    ],
)
def test_severity(attack: Attack, hits: int, opinions: int, agreeing: bool, expected: Severity) -> None:
    assert severity(attack, hits, opinions, agreeing=agreeing) is expected
