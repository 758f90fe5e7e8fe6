"""Views: status, notices whose revisions only grow, and reports that hostile names cannot break."""

from __future__ import annotations

import json

import msgspec
import pytest
from makers import finding

from detectors.finding import Severity
from monitor.incidents import Incident, Incidents
from monitor.store import Mark
from monitor.views import IncidentStatus, notice, report_json, report_markdown, status_of
from responders.decision import ActionType, Decision, Status
from responders.record import ActionRecord


def incident(client: str = "acct-1") -> Incident:
    return Incidents(600).merge(finding(1763683200.0, client=client, severity=Severity.HIGH), ip="203.0.113.9")[0]


def action(kind: ActionType, status: Status, revision: int = 1) -> ActionRecord:
    decision = Decision(
        id="act-1",
        type=kind,
        scope="client",
        value="acct-1",
        model="digits",
        incident_id="inc-1",
        origin="policy",
        reason="r",
        decided_ts=1.0,
        ttl_s=60.0,
        simulated=False,
    )
    return ActionRecord(decision=decision, status=status, recorded_at=1.0, updated_at=1.0, revision=revision)


@pytest.mark.parametrize(
    ("actions", "mark", "later_s", "expected"),
    [
        ([], "", 0, IncidentStatus.OPEN),
        ([action(ActionType.NOTIFY, Status.APPLIED)], "", 0, IncidentStatus.OPEN),
        ([action(ActionType.BLOCK_IP, Status.SIMULATED)], "", 0, IncidentStatus.OPEN),
        ([action(ActionType.BLOCK_IP, Status.APPLIED)], "", 0, IncidentStatus.CONTAINED),
        ([action(ActionType.BLOCK_IP, Status.REVERTED)], "", 0, IncidentStatus.OPEN),
        ([action(ActionType.BLOCK_IP, Status.APPLIED)], "", 601, IncidentStatus.RESOLVED),
        ([action(ActionType.BLOCK_IP, Status.APPLIED)], "false_positive", 0, IncidentStatus.FALSE_POSITIVE),
    ],
)
def test_status(actions: list[ActionRecord], mark: str, later_s: float, expected: IncidentStatus) -> None:
    i = incident()
    assert status_of(i, actions, Mark(mark), i.last_seen + later_s, 600) is expected


def test_notice_revision_grows_with_evidence_and_with_actions() -> None:
    i = incident()
    first = notice(i, [action(ActionType.BLOCK_IP, Status.PENDING, 0)], Mark(), IncidentStatus.OPEN, False)
    acted = notice(i, [action(ActionType.BLOCK_IP, Status.APPLIED, 2)], Mark(), IncidentStatus.CONTAINED, False)
    undone = notice(i, [action(ActionType.BLOCK_IP, Status.REVERTED, 4)], Mark(), IncidentStatus.OPEN, False)
    more = notice(
        msgspec.structs.replace(i, revision=2),
        [action(ActionType.BLOCK_IP, Status.REVERTED, 4)],
        Mark(),
        IncidentStatus.OPEN,
        False,
    )
    revisions = [n.revision for n in (first, acted, undone, more)]
    assert revisions == sorted(set(revisions))


def test_report_for_machines_has_evidence_actions_and_no_inputs() -> None:
    report = json.loads(
        report_json(incident(), [action(ActionType.QUARANTINE, Status.APPLIED)], IncidentStatus.CONTAINED)
    )
    assert report["format"] == "vedette-incident/1"
    assert report["incident"]["events"] == ["e1"]
    assert report["incident"]["technique"] == "AML.T0015"
    assert report["actions"][0]["status"] == "applied"


def test_report_for_people_tells_the_story() -> None:
    text = report_markdown(incident(), [action(ActionType.QUARANTINE, Status.APPLIED)], IncidentStatus.CONTAINED)
    for part in (
        "# Evasion by client:acct-1",
        "**HIGH · contained**",
        "AML.T0015",
        "2025-11-21 00:00:00",
        "near\\_duplicate",
        "203.0.113.9",
        "vedette undo",
        "quarantine client acct-1 for 60 s: applied",
    ):
        assert part in text, part


def test_hostile_names_stay_text() -> None:
    nasty = "<script>alert(1)</script>|`x`\n# Owned [a](http://evil)\x1b[31m\u202e"
    text = report_markdown(incident(nasty), [], IncidentStatus.OPEN)
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\n# Owned" not in text
    assert "[a](http" not in text
    json.loads(report_json(incident(nasty), [], IncidentStatus.OPEN))
