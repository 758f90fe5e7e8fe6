"""Policy: rules in order, allowlist, dry-run, and decisions whose ids repeat."""

from __future__ import annotations

import msgspec
import pytest

from detectors.finding import Attack, Finding, Severity, Subject
from monitor.incidents import Incident, Incidents
from monitor.policy import Policy
from monitor.settings import Allowlist, PolicyAction, PolicyRule, Response
from responders.decision import ActionType


def incident(
    subject: str = "client:acct-1",
    attack: Attack = Attack.EVASION,
    severity: Severity = Severity.HIGH,
    ips: tuple[str, ...] = ("203.0.113.9",),
) -> Incident:
    f = Finding(
        id="f-1",
        ts=100.0,
        detector="d",
        detector_version="1",
        attack=attack,
        technique="AML.T0015",
        model="digits",
        version="3",
        subject=Subject("model", "digits") if subject == "model:digits" else Subject.from_client_key(subject),
        severity=severity,
        score=1.0,
        threshold=1.0,
        evidence={},
        first_seen=90.0,
        last_seen=100.0,
        count=1,
    )
    made, _ = Incidents(600).merge(f)
    return msgspec.structs.replace(made, ips=ips)


def kinds(policy: Policy, subject: Incident) -> list[str]:
    return [d.type.value for d in policy.decide(subject)]


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (incident(), ["quarantine", "block_ip", "notify"]),
        (incident(severity=Severity.MEDIUM), ["throttle", "notify"]),
        (incident(severity=Severity.LOW), ["notify"]),
        (incident("model:digits", Attack.SHIFT), ["rollback", "notify"]),
        (incident("model:digits", Attack.SHIFT, Severity.MEDIUM), ["notify"]),
        (incident("client:anonymous"), ["notify"]),
        (incident("ip:203.0.113.9"), ["quarantine", "block_ip", "notify"]),
        (incident(ips=()), ["quarantine", "notify"]),
        (incident(ips=("203.0.113.9", "2001:db8::1")), ["quarantine", "block_ip", "block_ip", "notify"]),
    ],
)
def test_default_rules(subject: Incident, expected: list[str]) -> None:
    assert kinds(Policy(Response()), subject) == expected


def test_allowlisted_clients_and_addresses_are_only_spoken_of() -> None:
    policy = Policy(Response(allowlist=Allowlist(clients=("acct-1",), networks=("203.0.113.0/24", "2001:db8::/32"))))
    assert kinds(policy, incident()) == ["notify"]
    assert kinds(policy, incident("client:acct-2")) == ["quarantine", "notify"]
    assert kinds(policy, incident("ip:2001:db8::7", ips=("2001:db8::7",))) == ["notify"]


def test_dry_run_simulates_everything_but_messages() -> None:
    for mode, expected in (("dry-run", [True, True, False]), ("enforce", [False, False, False])):
        decisions = Policy(Response(mode=mode)).decide(incident())  # type: ignore[arg-type]  # parametrised Literal
        assert [d.simulated for d in decisions] == expected


def test_deciding_twice_gives_the_same_ids_and_escalation_new_ones() -> None:
    policy = Policy(Response())
    once, twice = policy.decide(incident()), policy.decide(incident())
    assert [d.id for d in once] == [d.id for d in twice]
    assert len({d.id for d in once}) == len(once)
    later = policy.decide(msgspec.structs.replace(incident(), escalation=2))
    assert not {d.id for d in once} & {d.id for d in later}


def test_first_matching_rule_wins_and_no_rule_means_no_action() -> None:
    rules = (
        PolicyRule(model="other", actions=(PolicyAction(ActionType.BLOCK_IP, ttl_s=5.0),)),
        PolicyRule(attack=Attack.EVASION, actions=(PolicyAction(ActionType.THROTTLE, ttl_s=5.0, rate_per_s=0.5),)),
        PolicyRule(min_severity=Severity.CRITICAL, actions=(PolicyAction(ActionType.NOTIFY, ttl_s=None),)),
    )
    policy = Policy(Response(policy=rules))
    (decision,) = policy.decide(incident())
    assert decision.type is ActionType.THROTTLE
    assert decision.ttl_s == 5.0
    assert decision.params == {"rate_per_s": 0.5}
    assert policy.decide(incident(attack=Attack.EXTRACTION)) == []


def test_members_of_a_group_are_decided_on_one_by_one() -> None:
    """Throttled instead of quarantined; an address without account is blocked; nobody on the allowlist is touched."""
    members = ("client:a", "ip:203.0.113.7", "client:friend", "client:anonymous", "ip:127.0.0.1")
    made = msgspec.structs.replace(incident(), subject=Subject("group", "g", members), concerned=members)
    policy = Policy(Response(mode="enforce", allowlist=Allowlist(clients=("friend",))))
    assert [(d.type, d.scope, d.value) for d in policy.decide(made)] == [
        (ActionType.THROTTLE, "client", "a"),
        (ActionType.THROTTLE, "ip", "203.0.113.7"),
        (ActionType.BLOCK_IP, "ip", "203.0.113.7"),
        (ActionType.NOTIFY, "incident", made.id),
    ]
