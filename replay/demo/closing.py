"""The demo's last word: who was found, who was left alone, what was done, and whether that is a success."""

from __future__ import annotations

from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from replay.evaluation import Evaluation
from replay.labels import Labels
from replay.report_words import number, span_words
from responders.decision import ActionType, Status
from responders.record import ActionRecord
from responders.text import visible

_HELD = (Status.APPLIED, Status.EXPIRED, Status.REVERTED)
_DEEDS = {
    ActionType.QUARANTINE: "held",
    ActionType.BLOCK_IP: "blocked",
    ActionType.THROTTLE: "throttled",
    ActionType.ROLLBACK: "rolled back",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What decides the exit code."""

    missed: tuple[str, ...]
    flagged: tuple[str, ...]
    blocked: tuple[str, ...]
    unseen_shifts: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Every attacker and shift found, no honest client acted against."""
        return not (self.missed or self.blocked or self.unseen_shifts)


def judge(evaluation: Evaluation, labels: Labels, actions: list[ActionRecord]) -> Outcome:
    """``blocked`` are honest clients that an action in force was aimed at."""
    honest = set(labels.honest())
    aimed = {r.decision.value for r in actions if r.status in _HELD and r.decision.scope == "client"}
    return Outcome(
        missed=tuple(a.client for a in evaluation.attackers if not a.found),
        flagged=tuple(dict.fromkeys(alarm.client for alarm in evaluation.false_alarms)),
        blocked=tuple(sorted(honest & aimed)),
        unseen_shifts=tuple(s.model for s in evaluation.shifts if s.onset_ts is not None and not s.detected),
    )


def attackers_table(evaluation: Evaluation, actions: list[ActionRecord], incidents: dict[str, str]) -> Table:
    """One row an attacker and a row a shift, 80 columns wide at most. ``incidents``: incident id → subject key."""
    done: dict[str, list[str]] = {}
    for r in reversed(actions):
        if r.decision.type is not ActionType.NOTIFY:
            done.setdefault(incidents.get(r.decision.incident_id, ""), []).append(_deed(r))
    table = _table("Attackers and shifts", "Who", "What", "Found by", "Found after", "Then")
    for a in evaluation.attackers:
        after = f"{number(a.queries_until_found)} queries, {span_words(a.seconds_until_found)}" if a.found else ""
        deeds = done.get(f"client:{a.client}", [])
        table.add_row(Text(visible(a.client, 40)), a.name, _found(a.found, a.detector), after, _listed(deeds))
    for s in evaluation.shifts:
        if s.onset_ts is not None:
            deeds = done.get(f"model:{s.model}", [])
            after = span_words(s.delay_s) if s.detected else ""
            table.add_row(Text(visible(s.model, 40)), "shift", _found(s.detected, s.detector), after, _listed(deeds))
    return table


def honest_table(evaluation: Evaluation) -> Table | Text:
    """Each honest client that was flagged; a single line saying none, if none was."""
    if not evaluation.false_alarms:
        return Text(f"Honest clients flagged: none of {evaluation.honest_flagged.trials}", style="bold green")
    table = _table("Honest clients flagged", "Who", "As", "Flagged by")
    for alarm in evaluation.false_alarms:
        table.add_row(Text(visible(alarm.client, 40)), alarm.attack, alarm.detector, style="red")
    return table


def _table(title: str, *columns: str) -> Table:
    return Table(
        *columns,
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )


def _found(found: bool, detector: str | None) -> Text:
    return Text(detector or "", style="green") if found else Text("not found", style="bold red")


def _deed(action: ActionRecord) -> str:
    """``blocked`` if that holds or has held, else the action and its status: ``block_ip refused``."""
    kind, status = action.decision.type, action.status
    return _DEEDS.get(kind, kind.value) if status in _HELD else f"{kind.value} {status.value}"


def _listed(deeds: list[str]) -> Text:
    return Text(", ".join(dict.fromkeys(deeds)))
