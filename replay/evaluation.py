"""What an evaluation says, as data. Times are event time, epoch seconds."""

from __future__ import annotations

from typing import Literal

import msgspec

from replay.intervals import DailyRate, Share

Truth = Literal["attacker", "honest", "shift", "unlabelled"]


class AttackerResult(msgspec.Struct, frozen=True):
    """One attacking client. Figures that need the recording are None without it.

    Attributes:
        found: some detector accused it of something other than a shift.
        kind_right: the accusation that came first names the kind of attack it was.
        queries: distinct requests it sent; ``queries_until_found`` of them up to the finding's time.
    """

    client: str
    attack: str
    name: str
    found: bool
    kind_right: bool
    detector: str | None
    found_ts: float | None
    queries: int | None
    queries_until_found: int | None
    first_query_ts: float | None
    seconds_until_found: float | None


class AttackResult(msgspec.Struct, frozen=True):
    """All clients that carried out one attack; medians over those found."""

    attack: str
    name: str
    detection: Share
    median_queries_until_found: float | None
    median_seconds_until_found: float | None


class FalseAlarm(msgspec.Struct, frozen=True):
    """An honest client accused by one detector: its first finding on it."""

    client: str
    detector: str
    attack: str
    ts: float
    score: float
    threshold: float


class ShiftResult(msgspec.Struct, frozen=True):
    """Shift findings on one model.

    Attributes:
        onset_ts: None if the labels know of no shift on this model; then every finding is a false window.
        false_windows: findings before the onset.
        false_windows_during_attacks: those of them made while a labelled attacker was sending to the model, whose
            inputs then really were of another distribution; None without the recording.
    """

    model: str
    onset_ts: float | None
    detected: bool
    detector: str | None
    found_ts: float | None
    delay_s: float | None
    false_windows: int
    false_windows_during_attacks: int | None


class DetectorResult(msgspec.Struct, frozen=True):
    """What one detector contributed: attackers it accused, those it accused first, honest clients it accused."""

    detector: str
    findings: int
    attackers: int
    first_on: int
    honest: int


class ScoredFinding(msgspec.Struct, frozen=True):
    """The first finding of one detector on one subject, with the truth about the subject."""

    subject: str
    detector: str
    attack: str
    ts: float
    score: float
    threshold: float
    truth: Truth


class Lane(msgspec.Struct, frozen=True):
    """Requests of one client (or of all clients of one model) per time bin."""

    name: str
    label: str
    counts: tuple[int, ...]
    first_ts: float


class Timeline(msgspec.Struct, frozen=True):
    """Who sent when; every lane has the same equal bins from ``start_ts`` to ``end_ts``."""

    start_ts: float
    end_ts: float
    clients: tuple[Lane, ...]
    models: tuple[Lane, ...]


class Evaluation(msgspec.Struct, frozen=True):
    """Alerts against labels.

    Attributes:
        detection: attackers found, of all labelled attackers.
        honest_flagged: honest clients accused, of all labelled honest clients.
        false_alarms_per_client_day: honest clients accused per client and day of recording; None without one.
        unlabelled: subjects of findings that the labels say nothing about; they count neither way.
    """

    findings: int
    detection: Share
    attacks: tuple[AttackResult, ...]
    attackers: tuple[AttackerResult, ...]
    honest_flagged: Share
    false_alarms: tuple[FalseAlarm, ...]
    false_alarms_per_client_day: DailyRate | None
    shifts: tuple[ShiftResult, ...]
    detectors: tuple[DetectorResult, ...]
    unlabelled: tuple[str, ...]
    first_findings: tuple[ScoredFinding, ...]
    timeline: Timeline | None

    def to_json(self) -> bytes:
        """All figures as indented JSON; the timeline, which is for drawing, is left out."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__ if name != "timeline"}
        return msgspec.json.format(msgspec.json.encode(fields), indent=2) + b"\n"
