"""The finding of a crossing: one client, one detector."""

from __future__ import annotations

from typing import Any

from detectors.batch import EventBatch
from detectors.contract import DetectorInfo
from detectors.dossier import Dossier
from detectors.finding import Finding, Severity, Subject, stable_id


def client_finding(
    info: DetectorInfo,
    batch: EventBatch,
    row: int,
    dossier: Dossier,
    d: int,
    e_value: float,
    threshold: float,
    severity: Severity,
    shared: bool,
    figures: dict[str, Any],
) -> Finding:
    """Finding of detector ``d`` at ``row``, whose client ``dossier`` is about.

    Its evidence: ``at`` the event that crossed, ``events`` the latest hits of the run, ``tail_rows`` of ``rows``
    opinions that hit since the evidence last was nothing, ``shared_by_others`` if the tail rate was raised because
    other clients hit as well, and the detector's own ``figures``.
    """
    subject = Subject.from_client_key(batch.clients[row])
    event, ts = batch.ids[row], float(batch.ts[row])
    run = dossier.runs[d]
    rows = 1 if run is None else dossier.opinions[d] - run.since + 1
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
        severity=severity,
        score=e_value,
        threshold=threshold,
        evidence={
            "at": event,
            "events": [event] if run is None else list(run.events),
            "tail_rows": 1 if run is None else run.count,
            "rows": rows,
            **({"shared_by_others": True} if shared else {}),
            **figures,
        },
        first_seen=ts if run is None else min(run.since_ts, ts),
        last_seen=ts,
        count=1 if run is None else run.count,
    )
