"""Swim lanes of the report: who sent when, where each attack was found, where the shift began."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from replay.evaluation import Evaluation, Lane, Timeline
from replay.labels import BENIGN
from replay.plots import Mark, axis, axis_row, density_strip, nice_ticks, row
from replay.report_words import number, span_words

#: Honest clients drawn without having been accused; the page must stay one that a browser can hold.
MAX_QUIET_LANES: Final = 60
MAX_LANES: Final = 200


def lanes_section(evaluation: Evaluation) -> str:
    """Who sent when, with onsets and detections; empty without the recording."""
    timeline = evaluation.timeline
    if timeline is None or not timeline.clients:
        return ""
    lanes = _Lanes(evaluation, timeline)
    return (
        "<h2>Timeline</h2><p class=soft>Requests per client over event time; the height of a bar grows with the square "
        "root of the number of requests.</p>"
        '<div class="legend"><span><i style="background:var(--attack)"></i>attacker</span>'
        '<span><i style="background:var(--honest)"></i>honest</span><span><i class="l-found"></i>found</span>'
        '<span><i class="l-wrong"></i>accused wrongly</span><span><i class="l-onset"></i>shift begins</span></div>'
        f'<div class="lanes">{"".join(lanes.rows())}</div>{lanes.axis()}'
    )


def _heading(name: str, value: str) -> str:
    return f'<div class="row head"><b>{name}</b><span>{value}</span></div>'


class _Lanes:
    def __init__(self, evaluation: Evaluation, timeline: Timeline) -> None:
        self._evaluation = evaluation
        self._timeline = timeline
        self._span = max(timeline.end_ts - timeline.start_ts, 1e-9)
        self._peak = max((max(lane.counts) for lane in timeline.clients), default=1)
        self._found = {a.client: a for a in evaluation.attackers}
        self._wrong = {alarm.client: alarm for alarm in reversed(evaluation.false_alarms)}

    def rows(self) -> Iterable[str]:
        lanes = self._timeline.clients
        attackers = sorted((lane for lane in lanes if lane.label not in ("", BENIGN)), key=lambda lane: lane.first_ts)
        accused = [lane for lane in lanes if lane.name in self._wrong]
        quiet = [lane for lane in lanes if lane.label in ("", BENIGN) and lane.name not in self._wrong]
        quiet.sort(key=lambda lane: (-sum(lane.counts), lane.name))
        yield _heading("Models", "requests")
        yield from (self._model(lane) for lane in self._timeline.models[:MAX_LANES])
        for heading, value, group, most in (
            ("Attackers", "found after", attackers, MAX_LANES),
            ("Honest clients accused", "of what", accused, MAX_LANES),
            ("Honest clients", "requests", quiet, MAX_QUIET_LANES),
        ):
            if group:
                yield _heading(heading, value)
                yield from (self._client(lane) for lane in group[:most])
            if len(group) > most:
                yield f"<p class=soft>and {len(group) - most} more, less busy</p>"

    def axis(self) -> str:
        ticks = [(seconds / self._span, f"{number(seconds)} s") for seconds in nice_ticks(self._span)]
        return axis_row(axis(ticks))

    def _at(self, ts: float) -> float:
        return (ts - self._timeline.start_ts) / self._span

    def _model(self, lane: Lane) -> str:
        marks: list[Mark] = []
        value = str(sum(lane.counts))
        for shift in self._evaluation.shifts:
            if shift.model != lane.name:
                continue
            if shift.onset_ts is not None:
                marks.append(Mark(self._at(shift.onset_ts), "onset", "shift begins"))
            if shift.found_ts is not None and shift.delay_s is not None:
                marks.append(Mark(self._at(shift.found_ts), "found", f"shift found by {shift.detector}"))
                value = f"{value}; shift found after {span_words(shift.delay_s)}"
        return row(lane.name, "", density_strip(lane.counts, max(lane.counts), "model", marks, lane.name), value)

    def _client(self, lane: Lane) -> str:
        marks: list[Mark] = []
        value = str(sum(lane.counts))
        attacker, wrong = self._found.get(lane.name), self._wrong.get(lane.name)
        if attacker is not None:
            value = "not found"
            if attacker.found_ts is not None:
                marks.append(Mark(self._at(attacker.found_ts), "found", f"found by {attacker.detector}"))
                value = span_words(attacker.seconds_until_found)
        elif wrong is not None:
            marks.append(Mark(self._at(wrong.ts), "wrong", f"accused by {wrong.detector}"))
            value = f"{wrong.attack}, {wrong.detector}"
        kind = "honest" if attacker is None else "attack"
        detail = "" if lane.label in ("", BENIGN) else lane.label.replace(":", ": ")
        tip = f"{lane.name}: {sum(lane.counts)} requests"
        return row(lane.name, detail, density_strip(lane.counts, self._peak, kind, marks, tip), value)
