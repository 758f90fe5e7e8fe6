"""The demo's last word: who was found, who was left alone, what was done, and whether that is a success."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from replay.evaluation import Evaluation
from replay.labels import Labels
from replay.report_words import number, span_words
from responders.decision import ActionType, Status
from responders.record import ActionRecord
from responders.text import visible

_HELD = (Status.APPLIED, Status.EXPIRED, Status.REVERTED)


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
    """One row an attacker and a row a shift. ``incidents`` maps incident ids to subject keys."""
    done: dict[str, list[str]] = {}
    for r in reversed(actions):
        if r.decision.type is not ActionType.NOTIFY:
            words = f"{r.decision.type.value}: {r.status.value}"
            done.setdefault(incidents.get(r.decision.incident_id, ""), []).append(words)
    table = Table(
        "Attacker",
        "Attack",
        "Found by",
        "Queries until found",
        "Time",
        "Actions",
        title="Attackers",
        title_justify="left",
    )
    for a in evaluation.attackers:
        found = Text(a.detector or "", style="green") if a.found else Text("not found", style="bold red")
        queries = f"{number(a.queries_until_found)} of {number(a.queries)}" if a.found else number(a.queries)
        table.add_row(
            Text(visible(a.client, 40)),
            f"{a.attack} ({a.name})",
            found,
            queries,
            span_words(a.seconds_until_found),
            ", ".join(dict.fromkeys(done.get(f"client:{a.client}", []))),
        )
    for s in evaluation.shifts:
        if s.onset_ts is None:
            continue
        found = Text(s.detector or "", style="green") if s.detected else Text("not found", style="bold red")
        actions_taken = ", ".join(dict.fromkeys(done.get(f"model:{s.model}", [])))
        table.add_row(Text(f"model {visible(s.model, 40)}"), "shift", found, "", span_words(s.delay_s), actions_taken)
    return table


def honest_table(evaluation: Evaluation) -> Table:
    """Each honest client that was flagged; a single row saying none, if none was."""
    table = Table("Honest client", "Flagged by", "As", title="Honest clients flagged", title_justify="left")
    for alarm in evaluation.false_alarms:
        table.add_row(Text(visible(alarm.client, 40)), alarm.detector, alarm.attack, style="red")
    if not evaluation.false_alarms:
        table.add_row(Text(f"none of {evaluation.honest_flagged.trials}", style="green"), "", "")
    return table
