"""Plots of the report: queries until found, evidence over threshold, false alarms."""

from __future__ import annotations

import math
from typing import Final

from replay.evaluation import AttackerResult, Evaluation, ScoredFinding
from replay.plots import axis, axis_row, interval_bar, lollipop, nice_ticks, row, share_bar, text
from replay.report_words import UNKNOWN, number, percent

#: The page must stay one that a browser can hold.
MAX_ROWS: Final = 200
MAX_EVIDENCE: Final = 60


def bars_section(evaluation: Evaluation) -> str:
    """Queries each attacker had sent when it was found, of all it sent."""
    known = [a for a in evaluation.attackers if a.queries]
    if not known:
        return ""
    most = max(a.queries or 0 for a in known)
    rows = "".join(_bar(a, most) for a in known[:MAX_ROWS])
    ticks = [(tick / most, number(tick)) for tick in nice_ticks(most)]
    return (
        "<h2>Queries until found</h2><p class=soft>Filled: queries sent up to the finding. Pale: the rest of the "
        f"attack, which a response in time would have stopped.</p>{rows}{axis_row(axis(ticks))}"
    )


def _bar(attacker: AttackerResult, most: int) -> str:
    queries = attacker.queries or 0
    until = attacker.queries_until_found
    value = f"not in {queries}" if until is None else f"{until} of {queries}"
    part = queries if until is None else until
    drawing = share_bar(part / most, queries / most, f"{attacker.client}: {value}")
    return row(attacker.client, f"{attacker.attack}: {attacker.name}", drawing, value)


def evidence_section(evaluation: Evaluation) -> str:
    """Score over threshold of each detector's first finding on each subject, on a log scale."""
    drawn = [(_ratio(f), f) for f in evaluation.first_findings[:MAX_EVIDENCE]]
    if not drawn:
        return ""
    top = max([10.0, *(ratio for ratio, _ in drawn if ratio is not None)])
    decades = max(math.ceil(math.log10(top) - 1e-9), 1)
    rows = "".join(_evidence_row(ratio, finding, decades) for ratio, finding in drawn)
    step = max(math.ceil(decades / 6), 1)
    ticks = [
        (power / decades, f"{10**power:,}x" if power < 5 else f"10^{power}x") for power in range(0, decades + 1, step)
    ]
    left_out = len(evaluation.first_findings) - len(drawn)
    more = f"<p class=soft>and {left_out} more</p>" if left_out > 0 else ""
    return (
        "<h2>Evidence over threshold</h2><p class=soft>First finding of each detector on each subject: how many times "
        "its threshold the score was at that moment.</p>"
        '<div class="legend"><span><i style="background:var(--attack)"></i>attacker</span>'
        '<span><i style="background:var(--shift)"></i>shift</span>'
        '<span><i style="background:var(--ink)"></i>honest, a false alarm</span>'
        '<span><i style="background:var(--soft)"></i>unlabelled</span></div>'
        f"{rows}{axis_row(axis(ticks))}{more}"
    )


def _ratio(finding: ScoredFinding) -> float | None:
    if not (math.isfinite(finding.score) and math.isfinite(finding.threshold)) or finding.threshold <= 0:
        return None
    ratio = finding.score / finding.threshold
    return ratio if math.isfinite(ratio) and ratio > 0 else None


def _evidence_row(ratio: float | None, finding: ScoredFinding, decades: int) -> str:
    at = 0.0 if ratio is None else math.log10(ratio) / decades
    tip = f"{finding.subject}: {number(finding.score)} against {number(finding.threshold)}"
    value = UNKNOWN if ratio is None else f"{number(ratio)}x"
    return row(finding.subject, f"{finding.detector}, {finding.attack}", lollipop(at, finding.truth, tip), value)


def false_alarm_section(evaluation: Evaluation) -> str:
    """Honest clients accused, per detector, with what the number of clients can promise."""
    honest = evaluation.honest_flagged
    if honest.share is None or honest.low is None or honest.high is None:
        return ""
    scale = min(1.0, max(0.1, honest.high * 1.1))
    tip = f"{percent(honest.low)} to {percent(honest.high)}"
    drawing = interval_bar(honest.low / scale, honest.high / scale, honest.share / scale, tip)
    rows = [row("all detectors", "95 % interval", drawing, f"{honest.hits} of {honest.trials}")]
    for detector in evaluation.detectors:
        share = detector.honest / honest.trials / scale
        value = f"{detector.honest} of {honest.trials}"
        rows.append(row(detector.detector, "", share_bar(share, share, f"{detector.detector}: {value}"), value))
    ticks = [(tick / scale, percent(tick)) for tick in nice_ticks(scale, 5)]
    said = f"Accused: {honest.hits} of {honest.trials}." if honest.hits else "None was."
    return (
        f"<h2>False alarms</h2><p class=soft>Share of the honest clients that a detector accused. {said}</p>"
        f"{''.join(rows)}{axis_row(axis(ticks))}{_alarm_list(evaluation)}"
    )


def _alarm_list(evaluation: Evaluation) -> str:
    items = "".join(
        f"<li>{text(a.client, 60)}: {text(a.detector)} says {text(a.attack)}, "
        f"{number(a.score)} against {number(a.threshold)}</li>"
        for a in evaluation.false_alarms[:MAX_ROWS]
    )
    return f"<ul>{items}</ul>" if items else ""
