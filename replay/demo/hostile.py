"""A few records that are no events, mixed into the demo's traffic: they must end in the dead-letter topic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from replay.schedule import Record

BAD = (
    b"",
    b"not json at all",
    b'{"id":"x","ts":1763715700,"model":"digits","inputs":[NaN]}',
    b'{"id":"x","ts":1763715700,"model":"digits","inputs":[1,2,3],"shape":[8,8]}',
    b'{"ts":1763715700,"model":"digits","inputs":[1]}',
    b"[" * 5000,
    b'{"id":"' + b"a" * 300 + b'","ts":1763715700,"model":"digits","inputs":[1]}',
    b'{"id":"x","ts":1763715700,"model":"digits","client":{"ip":"999.1.1.1"},"inputs":[1]}',
)


def with_bad_records(records: Iterable[Record], every: int = 700) -> Iterator[Record]:
    """The records with one of ``BAD`` after each ``every`` of them."""
    for n, record in enumerate(records, start=1):
        yield record
        if n % every == 0:
            yield Record(record.ts, b"nobody", BAD[n // every % len(BAD)])
