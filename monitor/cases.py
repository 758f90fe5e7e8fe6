"""From a finding to its incident and the decisions it calls for; one of these per scope (a partition, the models)."""

from __future__ import annotations

from collections.abc import Mapping

from detectors.finding import Finding
from monitor.incidents import Incident, Incidents
from monitor.policy import Policy
from responders.decision import Decision


class Cases:
    """Joins incident memory and policy, and tracks what a checkpoint has to write."""

    def __init__(self, policy: Policy, resolve_after_s: float) -> None:
        self._policy = policy
        self._incidents = Incidents(resolve_after_s)
        self._changed: dict[str, bytes | None] = {}

    def found(self, finding: Finding, ip: str = "") -> tuple[Incident, list[Decision]]:
        """The incident with this finding in it, and the decisions if it is new, worse, or its old ones have run out."""
        incident, escalated = self._incidents.merge(finding, ip)
        decisions = self._policy.decide(incident) if escalated else []
        if decisions:
            lasts = [d.ttl_s for d in decisions if d.ttl_s is not None]
            incident = self._incidents.decided(incident, finding.ts + min(lasts) if lasts else None)
        self._changed[incident.key] = self._incidents.snapshot(incident.key)
        return incident, decisions

    def prune(self, watermark: float) -> None:
        """Forget incidents long quiet."""
        self._changed.update(dict.fromkeys(self._incidents.prune(watermark)))

    def delta(self) -> dict[str, bytes | None]:
        """State changed since the last call; None means gone."""
        changed, self._changed = self._changed, {}
        return changed

    def restore(self, state: Mapping[str, bytes]) -> None:
        self._incidents.restore(state)
