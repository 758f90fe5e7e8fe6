"""The finding of a group of accounts."""

from __future__ import annotations

from typing import Final

from detectors.contract import DetectorInfo
from detectors.finding import Finding, Severity, Subject, stable_id
from detectors.groups import Group
from detectors.severity import DENSE

_EVENTS: Final = 20


def group_finding(info: DetectorInfo, model: str, version: str, group: Group) -> Finding:
    """Subject of scope ``group`` with all members named so far; its name comes from the group's oldest row.

    Severity: high if the answers differ in at least a quarter of the links, so that something was learned; else medium.
    """
    ts, event, client = group.rows[-1]
    name = stable_id("group", model, *group.name)
    differing = sum(link.differs for link in group.links)
    latest = group.links[-_EVENTS:]
    return Finding(
        id=stable_id("f", info.name, info.version, model, name, client, event, str(len(group.members))),
        ts=ts,
        detector=info.name,
        detector_version=info.version,
        attack=info.attack,
        technique=info.technique,
        model=model,
        version=version,
        subject=Subject("group", name, group.members),
        severity=Severity.HIGH if differing >= DENSE * len(group.links) else Severity.MEDIUM,
        score=group.e_value,
        threshold=group.threshold,
        evidence={
            "at": event,
            "events": [row[1] for row in group.rows[-_EVENTS:]],
            "members": len(group.members),
            "new_members": group.fresh,
            "linked_rows": len(group.rows),
            "rows": group.traffic,
            "links": [[link.event, link.earlier_event, link.distance] for link in latest],
            "answers_differ": differing,
            "compared": len(group.links),
        },
        first_seen=group.rows[0][0],
        last_seen=ts,
        count=len(group.rows),
    )
