"""Incidents: merging, escalation, bounds, and decisions that are taken once."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from makers import finding

from detectors.finding import Attack, Finding, Severity, Subject
from monitor.incidents import MAX_EVENTS, MAX_IPS, MAX_NOTES, Incident, Incidents


def test_same_subject_and_attack_is_one_incident() -> None:
    incidents = Incidents(resolve_after_s=600)
    first, new = incidents.merge(finding(100))
    second, again = incidents.merge(finding(110, events=("e2",)))
    assert new
    assert first.id == second.id
    assert second.findings == 2
    assert second.count == 6
    assert second.events == ("e1", "e2")
    assert again  # nothing was decided, so new evidence still calls for decisions


def test_another_attack_client_or_quiet_period_is_another_incident() -> None:
    incidents = Incidents(resolve_after_s=600)
    ids = {
        incidents.merge(f)[0].id
        for f in (
            finding(100),
            finding(100, client="acct-2"),
            finding(100, attack=Attack.EXTRACTION),
            finding(701),
        )
    }
    assert len(ids) == 4


def test_escalates_when_worse_or_when_decisions_have_run_out() -> None:
    incidents = Incidents(resolve_after_s=600)
    incident, _ = incidents.merge(finding(100, severity=Severity.MEDIUM))
    incidents.decided(incident, until_ts=200)
    same, escalated = incidents.merge(finding(150, severity=Severity.MEDIUM))
    assert not escalated
    assert same.escalation == 1
    worse, escalated = incidents.merge(finding(160, severity=Severity.HIGH))
    assert escalated
    assert worse.escalation == 2
    incidents.decided(worse, until_ts=300)
    expired, escalated = incidents.merge(finding(300, severity=Severity.HIGH))
    assert escalated
    assert expired.escalation == 3


def test_what_an_incident_keeps_is_bounded() -> None:
    incidents = Incidents(resolve_after_s=600)
    for i in range(200):
        incident, _ = incidents.merge(finding(100 + i, events=tuple(f"e{i}-{j}" for j in range(30))), ip=f"192.0.2.{i}")
    assert incident.findings == 200
    assert len(incident.events) == MAX_EVENTS
    assert len(incident.ips) == MAX_IPS
    assert len(incident.notes) == MAX_NOTES


@given(
    st.lists(st.tuples(st.floats(0, 5000), st.sampled_from(["a", "b"]), st.sampled_from(list(Severity))), max_size=30),
    st.integers(0, 30),
)
def test_restore_at_any_point_changes_nothing(steps: list[tuple[float, str, Severity]], cut: int) -> None:
    """Snapshot and restore between any two findings gives the same incidents as one unbroken run."""
    findings = [finding(ts, client, severity=severity) for ts, client, severity in sorted(steps, key=lambda s: s[0])]
    whole = Incidents(600)
    parts = Incidents(600)
    expected: list[Incident] = []
    got: list[Incident] = []
    saved: dict[str, bytes] = {}
    for i, f in enumerate(findings):
        if i == cut:
            parts = Incidents(600)
            parts.restore(saved)
        expected.append(whole.merge(f)[0])
        incident, _ = parts.merge(f)
        got.append(incident)
        blob = parts.snapshot(incident.key)
        assert blob is not None
        saved[incident.key] = blob
    assert msgspec.to_builtins(got) == msgspec.to_builtins(expected)


def test_prune_drops_only_what_is_quiet() -> None:
    incidents = Incidents(resolve_after_s=600)
    incidents.merge(finding(100))
    kept, _ = incidents.merge(finding(5000, client="acct-2"))
    assert len(incidents.prune(5000)) == 1
    assert incidents.snapshot(kept.key) is not None


def test_decisions_that_do_not_expire_are_not_taken_again() -> None:
    incidents = Incidents(resolve_after_s=600)
    incident, _ = incidents.merge(finding(100))
    incidents.decided(incident, until_ts=None)
    same, escalated = incidents.merge(finding(650))
    assert not escalated
    assert msgspec.json.decode(msgspec.json.encode(same), type=Incident) == same


def test_who_joins_a_group_calls_for_decisions_on_those_who_joined() -> None:
    incidents = Incidents(resolve_after_s=600)
    some, more = ("client:a", "client:b", "client:c"), ("client:a", "client:b", "client:c", "client:d")

    def group(ts: float, members: tuple[str, ...]) -> Finding:
        return msgspec.structs.replace(finding(ts), subject=Subject("group", "group-1", members))

    first, _ = incidents.merge(group(100, some))
    assert first.concerned == some
    incidents.decided(first, until_ts=400.0)
    joined, escalated = incidents.merge(group(200, more))
    assert (escalated, joined.concerned, joined.subject.members) == (True, ("client:d",), more)
    assert joined.escalation == first.escalation + 1
    incidents.decided(joined, until_ts=400.0)
    same, escalated = incidents.merge(group(300, more))
    assert (escalated, same.concerned) == (False, ())
    again, escalated = incidents.merge(group(500, more))
    assert (escalated, again.concerned) == (True, more)
