"""The finding of accounts that began one attack together."""

from __future__ import annotations

from typing import Final

from detectors.contract import DetectorInfo
from detectors.finding import Finding, Severity, Subject, stable_id
from detectors.gang import Gang
from detectors.joint import Joint
from detectors.severity import DENSE

_EVENTS: Final = 20
#: Accounts whose evidence is listed.
_ACCOUNTS: Final = 40


def joint_finding(kind: DetectorInfo, model: str, gang: Gang) -> Finding:
    """Subject of scope ``group`` with all members named so far; attack and technique of ``kind``, the detector that
    the gang was first found by, so that all that is said of a gang is one incident.

    Its evidence: of the accounts that are suspected now and began first, ``[client, e-value, event at which it was
    reached, time of the first hit]``. Severity: high if at least a quarter of the rows behind it hit; else medium.
    """
    info, held = Joint.info, gang.suspicions
    latest = max(held, key=lambda s: (s.ts, s.client))
    name = stable_id("group", model, info.name, *gang.name)
    hits, rows = sum(s.hits for s in held), sum(s.rows for s in held)
    by_time = sorted(held, key=lambda s: (s.ts, s.client))
    return Finding(
        id=stable_id("f", info.name, info.version, model, name, latest.event, str(len(gang.members))),
        ts=latest.ts,
        detector=info.name,
        detector_version=info.version,
        attack=kind.attack,
        technique=kind.technique,
        model=model,
        version="",
        subject=Subject("group", name, gang.members),
        severity=Severity.HIGH if hits >= DENSE * rows else Severity.MEDIUM,
        score=min(s.e_value for s in held),
        threshold=gang.threshold,
        evidence={
            "at": latest.event,
            "events": [s.event for s in by_time[-_EVENTS:]],
            "evidence_of": held[0].detector,
            "members": len(gang.members),
            "new_members": gang.fresh,
            "suspected": len(held),
            "active": gang.active,
            "began_within_s": round(held[-1].since_ts - held[0].since_ts, 3),
            "accounts": [[s.client, s.e_value, s.event, s.since_ts] for s in held[:_ACCOUNTS]],
            "tail_rows": hits,
            "rows": rows,
        },
        first_seen=held[0].since_ts,
        last_seen=latest.ts,
        count=hits,
    )
