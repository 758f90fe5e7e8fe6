"""Alerts against labels: who was found and how soon, who was accused wrongly, was the shift seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from detectors.finding import Attack, Finding
from monitor.event import Event
from replay.accusations import accusations, accused_by, is_shift, truth_of
from replay.alerts import as_finding
from replay.evaluation import (
    AttackerResult,
    AttackResult,
    DetectorResult,
    Evaluation,
    FalseAlarm,
    ScoredFinding,
    ShiftResult,
)
from replay.intervals import poisson_rate, wilson
from replay.labels import Labels
from replay.traffic import Traffic


def evaluate(
    alerts: Iterable[Finding | Mapping[str, Any]], labels: Labels, events: Iterable[Event] | None = None
) -> Evaluation:
    """Scores alerts against the truth.

    A client counts as accused from its first finding on: of scope ``client``, ``ip`` (clients known by address) or
    ``group`` (every member), whatever the attack named, except that findings of a shift on a model accuse nobody.

    Args:
        alerts: findings, or mappings of their fields, in any order; one written twice (after a restart) counts once.
        events: the recording the alerts were made from; without it no figures in queries, seconds or client-days.

    Raises:
        AlertsError: a mapping is no finding.
    """
    distinct = {finding.id: finding for finding in map(as_finding, alerts)}
    findings = sorted(distinct.values(), key=lambda finding: (finding.ts, finding.id))
    attackers = labels.attackers()
    traffic = None if events is None else Traffic(events, attackers.keys())
    accused = accusations(findings)
    results = tuple(_attacker(client, *kind, accused.get(client, []), traffic) for client, kind in attackers.items())
    honest = labels.honest()
    flagged = [client for client in honest if client in accused]
    days = traffic.client_days(honest) if traffic else 0.0
    return Evaluation(
        findings=len(findings),
        detection=wilson(sum(result.found for result in results), len(results)),
        attacks=_by_attack(results),
        attackers=results,
        honest_flagged=wilson(len(flagged), len(honest)),
        false_alarms=tuple(alarm for client in flagged for alarm in _false_alarms(client, accused[client])),
        false_alarms_per_client_day=poisson_rate(len(flagged), days) if days > 0 else None,
        shifts=_shifts(findings, labels, traffic),
        detectors=_by_detector(findings, results, accused, frozenset(honest)),
        unlabelled=_unlabelled(findings, accused, labels),
        first_findings=_first_findings(findings, labels),
        timeline=traffic.timeline(labels.clients) if traffic else None,
    )


def _attacker(
    client: str, attack: Attack, name: str, findings: list[Finding], traffic: Traffic | None
) -> AttackerResult:
    first = findings[0] if findings else None
    start = traffic.first(client) if traffic else None
    return AttackerResult(
        client=client,
        attack=attack.value,
        name=name,
        found=first is not None,
        kind_right=first is not None and first.attack is attack,
        detector=first.detector if first else None,
        found_ts=first.ts if first else None,
        queries=traffic.count(client) if traffic else None,
        queries_until_found=traffic.count(client, first.ts) if traffic and first else None,
        first_query_ts=start,
        seconds_until_found=first.ts - start if first and start is not None else None,
    )


def _by_attack(results: tuple[AttackerResult, ...]) -> tuple[AttackResult, ...]:
    groups: dict[tuple[str, str], list[AttackerResult]] = {}
    for result in results:
        groups.setdefault((result.attack, result.name), []).append(result)
    return tuple(
        AttackResult(
            attack=attack,
            name=name,
            detection=wilson(sum(r.found for r in group), len(group)),
            median_queries_until_found=_median([r.queries_until_found for r in group]),
            median_seconds_until_found=_median([r.seconds_until_found for r in group]),
        )
        for (attack, name), group in groups.items()
    )


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(median(known)) if known else None


def _false_alarms(client: str, findings: list[Finding]) -> list[FalseAlarm]:
    first: dict[str, Finding] = {}
    for finding in findings:
        first.setdefault(finding.detector, finding)
    return [FalseAlarm(client, f.detector, f.attack.value, f.ts, f.score, f.threshold) for f in first.values()]


def _shifts(findings: list[Finding], labels: Labels, traffic: Traffic | None) -> tuple[ShiftResult, ...]:
    by_model: dict[str, list[Finding]] = {model: [] for model in labels.shift_onset}
    for finding in findings:
        if is_shift(finding):
            by_model.setdefault(finding.model, []).append(finding)
    results: list[ShiftResult] = []
    for model, found in by_model.items():
        onset = labels.shift_onset.get(model)
        right = next((f for f in found if onset is not None and f.ts >= onset), None)
        false = [f for f in found if onset is None or f.ts < onset]
        results.append(
            ShiftResult(
                model=model,
                onset_ts=onset,
                detected=right is not None,
                detector=right.detector if right else None,
                found_ts=right.ts if right else None,
                delay_s=right.ts - onset if right and onset is not None else None,
                false_windows=len(false),
                false_windows_during_attacks=sum(traffic.under_attack(model, f.ts) for f in false) if traffic else None,
            )
        )
    return tuple(results)


def _by_detector(
    findings: list[Finding],
    results: tuple[AttackerResult, ...],
    accused: dict[str, list[Finding]],
    honest: frozenset[str],
) -> tuple[DetectorResult, ...]:
    accusers = {client: {finding.detector for finding in found} for client, found in accused.items()}
    return tuple(
        DetectorResult(
            detector=name,
            findings=sum(finding.detector == name for finding in findings),
            attackers=sum(name in accusers.get(result.client, ()) for result in results),
            first_on=sum(result.detector == name for result in results),
            honest=sum(name in by for client, by in accusers.items() if client in honest),
        )
        for name in sorted({finding.detector for finding in findings})
    )


def _unlabelled(findings: list[Finding], accused: dict[str, list[Finding]], labels: Labels) -> tuple[str, ...]:
    clients = [client for client in accused if client not in labels.clients]
    others = [f.subject.key for f in findings if not is_shift(f) and not accused_by(f)]
    return tuple(dict.fromkeys([*clients, *others]))


def _first_findings(findings: list[Finding], labels: Labels) -> tuple[ScoredFinding, ...]:
    first: dict[tuple[str, str, str], ScoredFinding] = {}
    for f in findings:
        truth = truth_of(f, labels)
        name = f.subject.value if f.subject.scope in ("client", "ip") else f.subject.key
        scored = ScoredFinding(name, f.detector, f.attack.value, f.ts, f.score, f.threshold, truth)
        first.setdefault((f.subject.key, f.detector, truth), scored)
    return tuple(first.values())
