"""What one step of the core says: verdicts, findings, incidents, decisions, and requests to be put aside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from detectors.finding import Finding
from monitor.event import Event
from monitor.incidents import Incident
from responders.decision import Decision


class Verdict(str, Enum):
    """What became of an event; each event gets exactly one."""

    CLEAN = "clean"
    FLAGGED = "flagged"
    DIVERTED = "diverted"
    DUPLICATE = "duplicate"
    UNSCORED = "unscored"


@dataclass(slots=True)
class StepResult:
    """Data for the shell to write down. ``incidents`` holds the newest state of every incident that changed, by id."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    incidents: dict[str, Incident] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    #: Rows that were left out to catch up, by what did not see them.
    spared: Counter[str] = field(default_factory=Counter)
    #: Requests of quarantined clients, each with the client's key.
    diverted: list[tuple[str, Event]] = field(default_factory=list)
    #: (address, client) pairs that were not seen before.
    addresses: list[tuple[str, str]] = field(default_factory=list)

    @property
    def to_write(self) -> bool:
        """Is there anything that must be on disk before the state that covers it?"""
        return bool(self.findings or self.decisions or self.diverted or self.addresses)

    def add(self, finding: Finding, incident: Incident, decisions: Sequence[Decision]) -> None:
        """A finding and what it led to."""
        self.findings.append(finding)
        self.incidents[incident.id] = incident
        self.decisions += decisions

    def extend(self, other: StepResult) -> None:
        """Findings of another part of the core, and what they led to."""
        self.findings += other.findings
        self.incidents |= other.incidents
        self.decisions += other.decisions
