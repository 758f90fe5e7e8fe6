"""Whom findings accuse, and whether rightly."""

from __future__ import annotations

from detectors.finding import Attack, Finding
from replay.evaluation import Truth
from replay.labels import BENIGN, Labels


def is_shift(finding: Finding) -> bool:
    """A statement about a model's traffic as a whole, accusing nobody."""
    return finding.attack is Attack.SHIFT and finding.subject.scope in ("model", "source")


def accused_by(finding: Finding) -> tuple[str, ...]:
    """The clients a finding accuses, as the labels name them: account ids, or addresses of clients without one."""
    subject = finding.subject
    if subject.scope == "group":
        return tuple(member.removeprefix("client:").removeprefix("ip:") for member in subject.members)
    return (subject.value,) if subject.scope in ("client", "ip") else ()


def accusations(findings: list[Finding]) -> dict[str, list[Finding]]:
    """Findings by the client they accuse, in the order given."""
    accused: dict[str, list[Finding]] = {}
    for finding in findings:
        for client in dict.fromkeys(accused_by(finding)):
            accused.setdefault(client, []).append(finding)
    return accused


def truth_of(finding: Finding, labels: Labels) -> Truth:
    """Whom a finding really concerns; a shift before its labelled onset concerns honest traffic."""
    if is_shift(finding):
        onset = labels.shift_onset.get(finding.model)
        return "shift" if onset is not None and finding.ts >= onset else "honest"
    truths = {labels.clients.get(client) for client in accused_by(finding)} - {None}
    if not truths:
        return "unlabelled"
    return "honest" if truths == {BENIGN} else "attacker"
