"""Incidents as people see them: status from the incident, its actions and the operator's mark; notices and reports."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum

import msgspec

from monitor.incidents import Incident
from monitor.store import Mark
from responders.decision import ActionType, Status
from responders.notice import Notice
from responders.record import ActionRecord

_MARKS = re.compile(r"[\\`*_\[\]<>|#]")
_ENTITIES = {"<": "&lt;", ">": "&gt;"}
_CONTAINS = {ActionType.QUARANTINE, ActionType.BLOCK_IP, ActionType.THROTTLE, ActionType.ROLLBACK}

ATTACK_NAMES = {
    "evasion": "Evasion",
    "extraction": "Model extraction",
    "inference": "Membership inference",
    "poisoning": "Poisoning",
    "tampering": "Model tampering",
    "abuse": "Abuse",
    "shift": "Distribution shift",
}


class IncidentStatus(str, Enum):
    OPEN = "open"
    CONTAINED = "contained"
    RESOLVED = "resolved"
    FALSE_POSITIVE = "false_positive"


def status_of(
    incident: Incident, actions: Sequence[ActionRecord], mark: Mark, watermark: float, resolve_after_s: float
) -> IncidentStatus:
    """Marked by a person, else quiet for ``resolve_after_s``, else contained by an action that holds, else open."""
    if mark.status:
        return IncidentStatus(mark.status)
    if watermark - incident.last_seen > resolve_after_s:
        return IncidentStatus.RESOLVED
    held = any(a.decision.type in _CONTAINS and a.status is Status.APPLIED for a in actions)
    return IncidentStatus.CONTAINED if held else IncidentStatus.OPEN


def notice(
    incident: Incident, actions: Sequence[ActionRecord], mark: Mark, status: IncidentStatus, dry_run: bool
) -> Notice:
    """The message about an incident. Its revision grows with the incident's evidence and with its actions' progress."""
    return Notice(
        incident_id=incident.id,
        revision=10 * (incident.revision + mark.revision + sum(a.revision for a in actions))
        + list(IncidentStatus).index(status),
        title=title(incident),
        severity=incident.severity.value,
        status=status.value,
        attack=incident.attack.value,
        technique=incident.technique,
        model=incident.model,
        subject=incident.subject.key,
        summary=summary(incident),
        first_seen=incident.first_seen,
        last_seen=incident.last_seen,
        findings=incident.findings,
        dry_run=dry_run,
        facts=tuple(_facts(incident)),
        timeline=tuple((n.ts, f"{n.detector}: {n.score:.3g} over {n.threshold:.3g}") for n in incident.notes),
        actions=tuple(action_line(a) for a in actions if a.decision.type is not ActionType.NOTIFY),
    )


def title(incident: Incident) -> str:
    name = ATTACK_NAMES[incident.attack.value]
    if incident.subject.scope == "model":
        return f"{name} on model {incident.model}"
    return f"{name} by {incident.subject.key} on model {incident.model}"


def summary(incident: Incident) -> str:
    """One sentence with the figures that matter."""
    note = incident.notes[0]
    return (
        f"{note.detector} crossed its line at {when(note.ts)}: {note.score:.3g} against {note.threshold:.3g}; "
        f"{incident.findings} finding{'s' if incident.findings != 1 else ''} so far, {incident.count} suspicious "
        f"{'windows' if incident.subject.scope == 'model' else 'requests'} since {when(incident.first_seen)}."
    )


def action_line(action: ActionRecord) -> str:
    d = action.decision
    ttl = f" for {d.ttl_s:g} s" if d.ttl_s is not None else ""
    detail = f" ({action.detail})" if action.detail else ""
    return f"{d.type.value} {d.scope} {d.value}{ttl}: {action.status.value}{detail}"


def report_json(incident: Incident, actions: Sequence[ActionRecord], status: IncidentStatus) -> bytes:
    """The incident report for machines: everything known, event ids and figures, no inputs."""
    report = {
        "format": "vedette-incident/1",
        "status": status,
        "title": title(incident),
        "incident": incident,
        "actions": [{"decision": a.decision, "status": a.status, "detail": a.detail} for a in actions],
    }
    return msgspec.json.format(msgspec.json.encode(report), indent=2)


def report_markdown(incident: Incident, actions: Sequence[ActionRecord], status: IncidentStatus) -> str:
    """The incident report for people: what, who, when, why we believe it, what was done, how to undo it."""
    atlas = (
        f"[{incident.technique}](https://atlas.mitre.org/techniques/{incident.technique})"
        if incident.technique
        else "none"
    )
    lines = [
        f"# {_md(title(incident))}",
        "",
        f"**{incident.severity.value.upper()} · {status.value.replace('_', ' ')}** — {_md(summary(incident))}",
        "",
        "| | |",
        "|---|---|",
        f"| Incident | `{incident.id}` |",
        f"| MITRE ATLAS | {atlas} |",
        *(f"| {_md(label)} | {_md(value)} |" for label, value in _facts(incident)),
        "",
        "## Timeline",
        "",
        "| Time (UTC) | Detector | Severity | Evidence / line | Suspicious so far |",
        "|---|---|---|---|---|",
        *(
            f"| {when(n.ts)} | {_md(n.detector)} | {n.severity.value} | {n.score:.4g} / {n.threshold:.4g} | {n.count} |"
            for n in incident.notes
        ),
        "",
        "## Evidence",
        "",
        *(f"- **{_md(n.detector)}**: {_md(_figures(n.evidence))}" for n in incident.notes[:5]),
        f"- Requests: {', '.join(_md(e) for e in incident.events) or 'none named'}",
        "",
        "## Actions",
        "",
        *(f"- `{a.decision.id}` {_md(action_line(a))}" for a in actions),
        *(["- none"] if not actions else ["", "Take one back with `vedette undo ACTION`."]),
        "",
    ]
    return "\n".join(lines)


def when(ts: float) -> str:
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _facts(incident: Incident) -> list[tuple[str, str]]:
    facts = [
        ("Model", f"{incident.model} {incident.version}".strip()),
        ("Subject", incident.subject.key),
        ("First seen", when(incident.first_seen)),
        ("Last seen", when(incident.last_seen)),
        ("Detectors", ", ".join(dict.fromkeys(n.detector for n in incident.notes))),
    ]
    if incident.ips:
        facts.append(("Addresses", ", ".join(incident.ips)))
    return facts


def _figures(evidence: dict[str, object]) -> str:
    return "; ".join(f"{k} {_figure(v)}" for k, v in evidence.items() if k not in ("events", "at"))


def _figure(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{k} {_figure(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_figure(v) for v in value)
    return str(value)


def _md(text: str) -> str:
    """Hostile text made plain: no control characters, no Markdown or HTML of its own."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return _MARKS.sub(_plain, text)


def _plain(mark: re.Match[str]) -> str:
    return _ENTITIES.get(mark[0], f"\\{mark[0]}")
