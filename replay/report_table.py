"""The evaluation as tables for the terminal."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from replay.evaluation import Evaluation
from replay.report_words import UNKNOWN, number, share_words, span_words
from responders.text import visible


def render_table(evaluation: Evaluation) -> Group:
    """What ``console.print`` shows. Names are foreign text: no markup is read in them, hidden characters are shown."""
    parts = [_summary(evaluation), _attackers(evaluation)]
    if evaluation.false_alarms:
        parts.append(_false_alarms(evaluation))
    if evaluation.shifts:
        parts.append(_shifts(evaluation))
    return Group(*parts)


def _plain(value: str) -> Text:
    return Text(visible(value, 60))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim")
    for column in columns:
        table.add_column(column)
    return table


def _summary(evaluation: Evaluation) -> Table:
    table = _table("Summary", "", "Count", "Share")
    detection, honest = evaluation.detection, evaluation.honest_flagged
    table.add_row("attackers found", f"{detection.hits} of {detection.trials}", share_words(detection))
    table.add_row("honest clients accused", f"{honest.hits} of {honest.trials}", share_words(honest))
    rate = evaluation.false_alarms_per_client_day
    if rate is not None:
        interval = f"{number(rate.low)} to {number(rate.high)} in {number(rate.days)} client-days"
        table.add_row("false alarms per client-day", number(rate.per_day), interval)
    if evaluation.unlabelled:
        table.add_row("subjects without label", str(len(evaluation.unlabelled)), "")
    return table


def _attackers(evaluation: Evaluation) -> Table:
    table = _table("Attackers", "Client", "Attack", "Found by", "Queries", "Time", "Kind right")
    for a in evaluation.attackers:
        of = f" of {a.queries}" if a.queries is not None else ""
        table.add_row(
            _plain(a.client),
            _plain(f"{a.attack}:{a.name}"),
            _plain(a.detector or "not found"),
            f"{number(a.queries_until_found)}{of}",
            span_words(a.seconds_until_found),
            ("yes" if a.kind_right else "no") if a.found else UNKNOWN,
        )
    return table


def _false_alarms(evaluation: Evaluation) -> Table:
    table = _table("Honest clients accused", "Client", "Detector", "Attack", "Score", "Threshold")
    for alarm in evaluation.false_alarms:
        table.add_row(
            _plain(alarm.client), _plain(alarm.detector), alarm.attack, number(alarm.score), number(alarm.threshold)
        )
    return table


def _shifts(evaluation: Evaluation) -> Table:
    table = _table("Shift", "Model", "Seen after", "Detector", "False windows", "during attacks")
    for s in evaluation.shifts:
        seen = span_words(s.delay_s) if s.detected else ("not seen" if s.onset_ts is not None else "none labelled")
        during = number(s.false_windows_during_attacks)
        table.add_row(_plain(s.model), seen, _plain(s.detector or UNKNOWN), str(s.false_windows), during)
    return table
