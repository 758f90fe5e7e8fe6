"""Incidents: findings on one subject and attack, kept as one. Pure state; status is a view over it (see views)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from detectors.finding import Attack, Finding, Severity, Subject, stable_id

#: Bounds on what an incident keeps; counts go on beyond them.
MAX_NOTES = 50
MAX_EVENTS = 20
MAX_IPS = 8


class FindingNote(msgspec.Struct, frozen=True):
    """What an incident keeps of a finding: enough for a timeline, never inputs."""

    id: str
    ts: float
    detector: str
    severity: Severity
    score: float
    threshold: float
    count: int
    evidence: dict[str, object]


class Incident(msgspec.Struct, frozen=True):
    """One attack on one model by one subject, as far as it is known.

    ``escalation`` grows when new evidence calls for new decisions (first finding, higher severity, new members of a
    group, or an attack that goes on after its decisions have expired); it makes decision ids deterministic.
    ``decided_until_ts`` is when the first of them expires, None for never. ``concerned``: of a group, the members that
    the latest escalation calls for decisions on: all, or those who joined.
    """

    id: str
    model: str
    version: str
    subject: Subject
    attack: Attack
    technique: str
    severity: Severity
    opened_ts: float
    first_seen: float
    last_seen: float
    count: int
    revision: int
    escalation: int
    decided_until_ts: float | None
    ips: tuple[str, ...]
    events: tuple[str, ...]
    notes: tuple[FindingNote, ...]
    findings: int
    concerned: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return incident_key(self.model, self.subject, self.attack)


def incident_key(model: str, subject: Subject, attack: Attack) -> str:
    return f"{attack.value}\x1f{subject.key}\x1f{model}"


class Incidents:
    """The open incidents of one scope (a partition, or the models)."""

    def __init__(self, resolve_after_s: float) -> None:
        self._resolve_after_s = resolve_after_s
        self._open: dict[str, Incident] = {}

    def merge(self, finding: Finding, ip: str = "") -> tuple[Incident, bool]:
        """The incident with this finding in it, and whether it calls for decisions.

        A finding after ``resolve_after_s`` of quiet opens a new incident.
        """
        key = incident_key(finding.model, finding.subject, finding.attack)
        old = self._open.get(key)
        if old is None or finding.ts - old.last_seen > self._resolve_after_s:
            new = self._opened(finding, ip)
            self._open[key] = new
            return new, True
        worse = finding.severity.rank > old.severity.rank
        again = old.decided_until_ts is not None and finding.ts >= old.decided_until_ts
        known = set(old.subject.members)
        joined = tuple(m for m in finding.subject.members if m not in known)
        new = msgspec.structs.replace(
            old,
            subject=finding.subject if joined else old.subject,
            concerned=finding.subject.members if worse or again else joined,
            severity=finding.severity if worse else old.severity,
            first_seen=min(old.first_seen, finding.first_seen),
            last_seen=max(old.last_seen, finding.last_seen),
            count=old.count + finding.count,
            revision=old.revision + 1,
            escalation=old.escalation + (worse or again or bool(joined)),
            ips=_bounded(old.ips, (ip,), MAX_IPS),
            events=_bounded(old.events, _events(finding), MAX_EVENTS),
            notes=(*old.notes, _note(finding))[:MAX_NOTES],
            findings=old.findings + 1,
        )
        self._open[key] = new
        return new, worse or again or bool(joined)

    def decided(self, incident: Incident, until_ts: float | None) -> Incident:
        """Remember until when (event time) all decisions taken for this incident hold; None = they do not expire."""
        new = msgspec.structs.replace(incident, decided_until_ts=until_ts)
        self._open[new.key] = new
        return new

    def prune(self, watermark: float) -> list[str]:
        """Drop the state of incidents that have gone quiet; their keys."""
        quiet = [k for k, i in self._open.items() if watermark - i.last_seen > 2 * self._resolve_after_s]
        for key in quiet:
            del self._open[key]
        return quiet

    def snapshot(self, key: str) -> bytes | None:
        incident = self._open.get(key)
        return None if incident is None else msgspec.msgpack.encode(incident)

    def restore(self, state: Mapping[str, bytes]) -> None:
        for key, blob in state.items():
            self._open[key] = msgspec.msgpack.decode(blob, type=Incident)

    def _opened(self, finding: Finding, ip: str) -> Incident:
        return Incident(
            id=stable_id("inc", finding.id),
            model=finding.model,
            version=finding.version,
            subject=finding.subject,
            attack=finding.attack,
            technique=finding.technique,
            severity=finding.severity,
            opened_ts=finding.ts,
            first_seen=finding.first_seen,
            last_seen=finding.last_seen,
            count=finding.count,
            revision=1,
            escalation=1,
            decided_until_ts=finding.ts,
            ips=_bounded((), (ip,), MAX_IPS),
            events=_bounded((), _events(finding), MAX_EVENTS),
            notes=(_note(finding),),
            findings=1,
            concerned=finding.subject.members,
        )


def _note(f: Finding) -> FindingNote:
    return FindingNote(f.id, f.ts, f.detector, f.severity, f.score, f.threshold, f.count, f.evidence)


def _events(finding: Finding) -> tuple[str, ...]:
    events = finding.evidence.get("events", ())
    return tuple(str(e) for e in events) if isinstance(events, list | tuple) else ()


def _bounded(old: tuple[str, ...], new: tuple[str, ...], limit: int) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*old, *(n for n in new if n))))[:limit]
