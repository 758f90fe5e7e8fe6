"""Policy: an incident becomes decisions. Pure; the allowlist is checked here, and again by whoever acts."""

from __future__ import annotations

import msgspec

from detectors.finding import Subject, stable_id
from monitor.event import ANONYMOUS
from monitor.incidents import Incident
from monitor.settings import PolicyAction, PolicyRule, Response
from responders.decision import ActionType, Decision
from responders.guard import Allowlist


class Policy:
    """Rules in order; the first that matches attack, severity and model decides."""

    def __init__(self, settings: Response) -> None:
        self._settings = settings
        self._allowlist = Allowlist(settings.allowlist.clients, settings.allowlist.networks)
        self._simulated = settings.mode == "dry-run"
        lasts = [
            action.ttl_s
            for rule in settings.policy
            for action in rule.actions
            if action.type is ActionType.QUARANTINE and action.ttl_s is not None
        ]
        #: No quarantine ends sooner, seconds of event time; infinity if none can begin.
        self.shortest_quarantine_s = float("inf") if self._simulated else min(lasts, default=float("inf"))

    def decide(self, incident: Incident) -> list[Decision]:
        """What to do about the incident as it is now; ids repeat for the same incident and escalation.

        ``block_ip`` gives one decision per address. Allowlisted clients and addresses, and the anonymous client
        (who is many people), get notifications only. A group's members are each decided on as a client, those
        ``concerned``; instead of a quarantine they are throttled: who is diverted must follow from a client's own
        requests, or a replay would divert others.
        """
        rule = next((r for r in self._settings.policy if _matches(r, incident)), None)
        if rule is None:
            return []
        actions = rule.actions if incident.subject.scope != "group" else _for_members(rule.actions)
        return [
            self._decision(incident, action, scope, value)
            for action in actions
            for scope, value in self._targets(incident, action)
        ]

    def _targets(self, incident: Incident, action: PolicyAction) -> list[tuple[str, str]]:
        subject = incident.subject
        match action.type:
            case ActionType.NOTIFY:
                return [("incident", incident.id)]
            case ActionType.ROLLBACK:
                return [("model", incident.model)]
        if subject.scope == "group":
            return [t for member in incident.concerned for t in self._member_targets(member, action)]
        if subject.scope not in ("client", "ip") or subject.key == ANONYMOUS:
            return []
        if self._allowlist.covers(subject.scope, subject.value):
            return []
        if action.type is ActionType.BLOCK_IP:
            return [("ip", ip) for ip in incident.ips if not self._allowlist.covers("ip", ip)]
        return [(subject.scope, subject.value)]

    def _member_targets(self, member: str, action: PolicyAction) -> list[tuple[str, str]]:
        subject = Subject.from_client_key(member)
        if subject.key == ANONYMOUS or self._allowlist.covers(subject.scope, subject.value):
            return []
        if action.type is ActionType.BLOCK_IP and subject.scope != "ip":
            return []
        return [(subject.scope, subject.value)]

    def _decision(self, incident: Incident, action: PolicyAction, scope: str, value: str) -> Decision:
        # Messages go out in dry-run too: they are how a dry run is judged.
        simulated = self._simulated and action.type is not ActionType.NOTIFY
        return Decision(
            id=stable_id("act", incident.id, action.type.value, scope, value, str(incident.escalation)),
            type=action.type,
            scope=scope,
            value=value,
            model=incident.model,
            incident_id=incident.id,
            origin="policy",
            reason=f"{incident.attack.value} ({incident.severity.value}) by {incident.subject.key} on {incident.model}",
            decided_ts=incident.last_seen,
            ttl_s=action.ttl_s,
            simulated=simulated,
            params={"rate_per_s": action.rate_per_s} if action.type is ActionType.THROTTLE else {},
        )


def _for_members(actions: tuple[PolicyAction, ...]) -> list[PolicyAction]:
    """Quarantine becomes throttle; the first of a kind counts."""
    kinds = [ActionType.THROTTLE if a.type is ActionType.QUARANTINE else a.type for a in actions]
    return [
        msgspec.structs.replace(action, type=kind)
        for i, (action, kind) in enumerate(zip(actions, kinds, strict=True))
        if kind not in kinds[:i]
    ]


def _matches(rule: PolicyRule, incident: Incident) -> bool:
    return (
        rule.attack in (None, incident.attack)
        and incident.severity.rank >= rule.min_severity.rank
        and rule.model in ("*", incident.model)
    )
