"""Small honest values that many tests need."""

from __future__ import annotations

from detectors.finding import Attack, Finding, Severity, Subject, stable_id


def finding(
    ts: float = 100.0,
    client: str = "acct-1",
    attack: Attack = Attack.EVASION,
    severity: Severity = Severity.HIGH,
    events: tuple[str, ...] = ("e1",),
) -> Finding:
    return Finding(
        id=stable_id("f", client, attack.value, repr(ts)),
        ts=ts,
        detector="near_duplicate",
        detector_version="1",
        attack=attack,
        technique="AML.T0015",
        model="digits",
        version="3",
        subject=Subject("client", client),
        severity=severity,
        score=2e4,
        threshold=1e4,
        evidence={"events": list(events)},
        first_seen=ts - 10,
        last_seen=ts,
        count=3,
    )
