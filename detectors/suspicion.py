"""What a partition tells of an account against which a detector holds evidence; and how such news add up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from detectors.finding import Finding

#: E-values below this are not told.
LEAST_E: Final = 20.0


class Suspicion(msgspec.Struct, array_like=True, frozen=True):
    """The most evidence that one detector held against one client in one window.

    Attributes:
        e_value: the largest e-value, or a bound from below of it, 6 digits.
        ts, event: where it was reached.
        since_ts: time of the first hit of the run behind it, or of an earlier run that is remembered.
        hits, rows: of that run, see ``detectors.run``.
    """

    client: str
    detector: str
    e_value: float
    ts: float
    event: str
    since_ts: float
    hits: int
    rows: int


def suspicion_of(finding: Finding) -> Suspicion:
    """What led to the finding of a client."""
    at = (finding.ts, str(finding.evidence["at"]), finding.first_seen)
    rows = int(finding.evidence["rows"])
    return Suspicion(finding.subject.key, finding.detector, finding.score, *at, finding.count, rows)


def strongest(suspicions: Iterable[Suspicion]) -> dict[tuple[str, str], Suspicion]:
    """By client and detector: the largest e-value, where it was reached first, and the earliest ``since_ts`` of all.

    Any order and any grouping of the suspicions gives the same.
    """
    held: dict[tuple[str, str], Suspicion] = {}
    for new in suspicions:
        key = new.client, new.detector
        old = held.get(key)
        held[key] = new if old is None else _stronger(old, new)
    return held


def _stronger(a: Suspicion, b: Suspicion) -> Suspicion:
    best, other = (a, b) if _rank(a) <= _rank(b) else (b, a)
    if other.since_ts < best.since_ts:
        return msgspec.structs.replace(best, since_ts=other.since_ts)
    return best


def _rank(s: Suspicion) -> tuple[float, float, str, int, int]:
    return -s.e_value, s.ts, s.event, s.hits, s.rows
