"""The severity rule, case by case."""

from __future__ import annotations

import pytest

from detectors.finding import Attack, Severity
from detectors.severity import severity


@pytest.mark.parametrize(
    ("attack", "hits", "opinions", "agreeing", "shared", "expected"),
    [
        (Attack.EVASION, 5, 6, False, False, Severity.HIGH),
        (Attack.EXTRACTION, 5, 20, False, False, Severity.HIGH),
        (Attack.EXTRACTION, 5, 21, False, False, Severity.MEDIUM),
        (Attack.EVASION, 5, 6, True, False, Severity.CRITICAL),
        (Attack.EVASION, 5, 100, True, False, Severity.MEDIUM),
        (Attack.ABUSE, 9, 9, True, False, Severity.MEDIUM),
        (Attack.EVASION, 9, 9, True, True, Severity.LOW),
        (Attack.ABUSE, 9, 9, False, True, Severity.LOW),
    ],
)
def test_severity(attack: Attack, hits: int, opinions: int, agreeing: bool, shared: bool, expected: Severity) -> None:
    assert severity(attack, hits, opinions, agreeing=agreeing, shared=shared) is expected
