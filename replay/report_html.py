"""The evaluation as one HTML file: no scripts, nothing loaded, readable offline in light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from replay.evaluation import Evaluation
from replay.plots import text
from replay.report_lanes import lanes_section
from replay.report_plots import MAX_ROWS, bars_section, evidence_section, false_alarm_section
from replay.report_style import STYLE
from replay.report_words import UNKNOWN, number, percent, share_words, span_words
from responders.text import utc


def render_html(evaluation: Evaluation, title: str = "Detection report") -> str:
    """The whole page. All names in it are foreign text and come out escaped, with hidden characters shown."""
    sections = (
        lanes_section(evaluation),
        bars_section(evaluation),
        _attacker_table(evaluation),
        _attacks_table(evaluation),
        evidence_section(evaluation),
        false_alarm_section(evaluation),
        _shift_table(evaluation),
        _detector_table(evaluation),
        _notes(evaluation),
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{text(title)}</title><style>{STYLE}</style></head><body><main>"
        f"<h1>{text(title)}</h1><p class=soft>{_subtitle(evaluation)}</p>{_tiles(evaluation)}"
        f"{''.join(sections)}</main></body></html>\n"
    )


def _subtitle(evaluation: Evaluation) -> str:
    said = f"{evaluation.findings} findings against labels of {_clients(evaluation)} clients"
    timeline = evaluation.timeline
    if timeline is None:
        return f"{said}. Without the recording there are no figures in queries, seconds or client-days."
    requests = sum(sum(lane.counts) for lane in timeline.clients)
    span = span_words(timeline.end_ts - timeline.start_ts)
    return f"{said}; {requests} requests in {span} from {text(utc(timeline.start_ts))}."


def _clients(evaluation: Evaluation) -> int:
    return evaluation.detection.trials + evaluation.honest_flagged.trials


def _tiles(evaluation: Evaluation) -> str:
    queries = [a.queries_until_found for a in evaluation.attackers if a.queries_until_found is not None]
    tiles = [
        _tile(
            f"{evaluation.detection.hits} of {evaluation.detection.trials}",
            "attacking clients found",
            share_words(evaluation.detection),
        ),
        _tile(
            f"{evaluation.honest_flagged.hits} of {evaluation.honest_flagged.trials}",
            "honest clients accused",
            share_words(evaluation.honest_flagged),
        ),
    ]
    if queries:
        spread = f"median; from {min(queries)} to {max(queries)}"
        tiles.append(_tile(number(median(queries)), "queries until found", spread))
    rate = evaluation.false_alarms_per_client_day
    if rate is not None:
        exposure = f"95 % interval {number(rate.low)} to {number(rate.high)}; {number(rate.days)} client-days seen"
        tiles.append(_tile(number(rate.per_day), "false alarms per client-day", exposure))
    for shift in evaluation.shifts:
        if shift.onset_ts is None:
            continue
        said = f"+{span_words(shift.delay_s)}" if shift.delay_s is not None else "not seen"
        tiles.append(_tile(said, f"shift of {shift.model}", f"{shift.false_windows} false windows before its onset"))
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _tile(figure: str, label: str, detail: str) -> str:
    return f'<div class="tile"><b>{text(figure)}</b><span>{text(label)}</span><small>{text(detail, 200)}</small></div>'


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table of plain texts, all escaped."""
    heads = "".join(f"<th>{text(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{text(cell, 200)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def _attacker_table(evaluation: Evaluation) -> str:
    if not evaluation.attackers:
        return ""
    rows = [
        (
            a.client,
            f"{a.attack}: {a.name}",
            a.detector or "not found",
            ("yes" if a.kind_right else "no") if a.found else UNKNOWN,
            number(a.queries_until_found),
            span_words(a.seconds_until_found),
        )
        for a in evaluation.attackers[:MAX_ROWS]
    ]
    head = ("Client", "Attack", "Found first by", "Kind right", "Queries until found", "Time until found")
    return f"<h2>By attacker</h2>{table(head, rows)}"


def _attacks_table(evaluation: Evaluation) -> str:
    if not evaluation.attacks:
        return ""
    rows = [
        (
            f"{a.attack}: {a.name}",
            f"{a.detection.hits} of {a.detection.trials}",
            share_words(a.detection),
            number(a.median_queries_until_found),
            span_words(a.median_seconds_until_found),
        )
        for a in evaluation.attacks
    ]
    head = ("Attack", "Found", "Detection rate", "Median queries", "Median time")
    return f"<h2>By attack</h2>{table(head, rows)}"


def _shift_table(evaluation: Evaluation) -> str:
    if not evaluation.shifts:
        return ""
    rows = [
        (
            s.model,
            "none labelled" if s.onset_ts is None else utc(s.onset_ts),
            UNKNOWN if s.onset_ts is None else (span_words(s.delay_s) if s.detected else "not seen"),
            s.detector or UNKNOWN,
            str(s.false_windows),
            number(s.false_windows_during_attacks),
        )
        for s in evaluation.shifts
    ]
    head = ("Model", "Onset", "Seen after", "Detector", "False windows", "of these during a labelled attack")
    return f"<h2>Distribution shift</h2>{table(head, rows)}"


def _detector_table(evaluation: Evaluation) -> str:
    if not evaluation.detectors:
        return ""
    rows = [
        (d.detector, str(d.findings), str(d.attackers), str(d.first_on), str(d.honest)) for d in evaluation.detectors
    ]
    head = ("Detector", "Findings", "Attackers accused", "Accused first", "Honest accused")
    return f"<h2>By detector</h2>{table(head, rows)}"


def _notes(evaluation: Evaluation) -> str:
    unknown = evaluation.unlabelled
    said = ""
    if unknown:
        names = ", ".join(text(name, 60) for name in unknown[:20])
        more = f" and {len(unknown) - 20} more" if len(unknown) > 20 else ""
        said = (
            f"<p>The labels say nothing about these subjects of findings, which count neither way: {names}{more}.</p>"
        )
    return (
        f"<h2>How to read this</h2>{said}<p class=soft>A client counts as found, or falsely accused, from the first "
        "finding that names it, whichever attack the finding speaks of. Shares carry 95 % Wilson intervals, rates 95 % "
        f"exact Poisson intervals: {percent(evaluation.detection.low)} is what few trials can promise at the least. "
        "Times are event time.</p>"
    )
