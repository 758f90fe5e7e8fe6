"""Whether Vedette, as it comes, finds a client that sends given inputs, and after how many of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from detectors.baseline import Baseline
from detectors.finding import stable_id
from monitor.core import Core
from monitor.event import Event
from monitor.settings import Settings
from replay.accusations import accused_by
from replay.in_process import replay_in_process
from replay.simulate.datasets.examples import Array
from replay.simulate.query_patterns import START_TS
from replay.simulate.served import served_model

#: As busy as the attackers of ``replay.simulate.query_patterns``: no haste that ``rate`` would find.
GAP_S = 2.5
_CLIENT = "adaptive"


@dataclass(frozen=True, slots=True)
class Found:
    """``queries`` up to the first finding, made by ``by``. ``findings``: of each detector, in all that was watched."""

    queries: int
    by: str
    findings: dict[str, int]


def watched(data_set: str, rows: Array, baseline: Baseline) -> Found | None:
    """Rows on the wire ``(n, d)`` as one client's traffic, with the default settings; None if it was not found.

    Nobody else is on the stream: row detectors judge each client by itself. Nothing is blocked or told to the client.
    """
    for part in (rows[:400], rows):  # most are found at once
        events = _events(data_set, part)
        outcome = replay_in_process(iter(events), Core(Settings(), baseline), batch_events=2000)
        found = [finding for finding in outcome.findings if _CLIENT in accused_by(finding)]
        if found:
            first = min(found, key=lambda finding: finding.ts)
            queries = 1 + round((first.ts - START_TS) / GAP_S)
            return Found(queries, first.detector, dict(Counter(finding.detector for finding in found)))
    return None


def _events(data_set: str, rows: Array) -> list[Event]:
    model = served_model(data_set)
    scores = model.scores(rows)
    x, labels = rows.astype(np.float32), scores.argmax(axis=1).astype(np.int64)
    scores = scores.astype(np.float32)
    return [
        Event(
            id=stable_id("adaptive", str(i)),
            ts=START_TS + GAP_S * i,
            model=model.name,
            x=x[i : i + 1],
            shape=model.data.space.shape,
            version=model.version,
            client_id=_CLIENT,
            client_ip="2001:db8:a::1",
            scores=scores[i : i + 1],
            labels=labels[i : i + 1],
        )
        for i in range(len(rows))
    ]
