"""The severity rule, case by case."""

from __future__ import annotations

import pytest

from detectors.finding import Attack, Severity
from detectors.registry import ROW_DETECTORS
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


def test_circumstantial_evidence_alone_is_medium() -> None:
    assert severity(Attack.EXTRACTION, 9, 9, agreeing=False, circumstantial=True) is Severity.MEDIUM
    assert severity(Attack.EXTRACTION, 9, 9, agreeing=True, circumstantial=True) is Severity.CRITICAL
    assert severity(Attack.EXTRACTION, 1, 9, agreeing=True, circumstantial=True) is Severity.MEDIUM


def test_what_no_single_request_shows_is_circumstantial() -> None:
    assert {kind.info.name for kind in ROW_DETECTORS if kind.info.circumstantial} == {
        "confidence",
        "coverage_growth",
        "label_balance",
    }
