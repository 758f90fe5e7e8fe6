"""The finding of a crossing: one client, one detector."""

from __future__ import annotations

from typing import Any

from detectors.batch import EventBatch
from detectors.contract import DetectorInfo
from detectors.finding import Finding, Subject, stable_id
from detectors.run import Run
from detectors.severity import severity


def client_finding(
    info: DetectorInfo,
    batch: EventBatch,
    row: int,
    run: Run | None,
    opinions: int,
    *,
    e_value: float,
    threshold: float,
    agreeing: bool,
    figures: dict[str, Any],
) -> Finding:
    """Finding of a detector at ``row``, after ``run`` of hits on its client within ``opinions`` opinions.

    Its evidence: ``at`` the event that crossed, ``events`` the latest hits of the run, ``tail_rows`` of ``rows``
    opinions that hit since the evidence last was nothing, and the detector's own ``figures``. See ``severity`` for
    ``agreeing``.
    """
    subject = Subject.from_client_key(batch.clients[row])
    event, ts = batch.ids[row], float(batch.ts[row])
    hits, since_ts, events = (1, ts, [event]) if run is None else (run.count, run.since_ts, run.events)
    return Finding(
        id=stable_id("f", info.name, info.version, batch.model, subject.key, event),
        ts=ts,
        detector=info.name,
        detector_version=info.version,
        attack=info.attack,
        technique=info.technique,
        model=batch.model,
        version=batch.versions[row],
        subject=subject,
        severity=severity(info.attack, hits, opinions, agreeing=agreeing, circumstantial=info.circumstantial),
        score=e_value,
        threshold=threshold,
        evidence={
            "at": event,
            "events": list(events),
            "tail_rows": hits,
            "rows": opinions,
            **figures,
        },
        first_seen=min(since_ts, ts),
        last_seen=ts,
        count=hits,
    )
