"""Where records of a re-keyed topic came from: each is taken once, and time moves on when it has at every source."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from monitor.codec.limits import Limits
from monitor.codec.tick import decode_tick, encode_tick
from monitor.event import Rejection
from monitor.intake import Record, SourceRecord

HEADER: Final = "vedette-origin"
_STATE: Final = "origins"
_FORM: Final = re.compile(rb"(\d{1,10}):(\d{1,19}):(\d{1,10})")
_MAX_OFFSET: Final = 2**63 - 1


class Origin(NamedTuple):
    """Where a record came from: the ``part``-th of those that the source record at ``offset`` became."""

    partition: int
    offset: int
    part: int


def origin_header(partition: int, offset: int, part: int) -> tuple[str, bytes]:
    """The header that says so."""
    return HEADER, b"%d:%d:%d" % (partition, offset, part)


def origin_of(record: SourceRecord) -> Origin | None:
    """None without a header, and for one that ``origin_header`` did not make. Of several the last counts."""
    value = dict(record.headers).get(HEADER) if record.headers else None
    found = _FORM.fullmatch(value) if value else None
    origin = Origin(*map(int, found.groups())) if found else None
    return origin if origin is not None and origin.offset <= _MAX_OFFSET else None


class Origins:
    """One partition of the re-keyed topic.

    Whoever passes a source partition on sends all of it in order, from where its group has committed. So what comes a
    second time after a crash, or from two workers at once, is what lies at or below the newest origin seen.
    """

    def __init__(self, sources: int) -> None:
        """``sources``: partitions of the topic that is passed on."""
        self._sources = sources
        self._newest: dict[int, tuple[int, int]] = {}
        self._promised: dict[int, float] = {}
        self._told_ts = float("-inf")
        self._changed = False

    def fresh(
        self, records: Sequence[SourceRecord], next_offset: int, limits: Limits, now: float | None = None
    ) -> list[SourceRecord]:
        """Those to be judged, in order. A tick stands for the time that all sources have promised.

        Records without an origin are left as they are. ``limits`` and ``now`` are those of ``monitor.intake.take``.
        """
        kept: list[SourceRecord] = []
        for record in records:
            if record.offset < next_offset:
                continue
            origin = origin_of(record)
            if origin is None:
                kept.append(record)
                continue
            source, at = origin.partition, (origin.offset, origin.part)
            if at <= self._newest.get(source, (-1, -1)):
                continue
            self._newest[source] = at
            self._changed = True
            taken = self._tick(record, source, limits, now)
            if taken is not None:
                kept.append(taken)
        return kept

    def _tick(self, record: SourceRecord, source: int, limits: Limits, now: float | None) -> SourceRecord | None:
        """The record itself, or for a tick the common one, if that has moved."""
        try:
            ts = decode_tick(record.value, record.headers, limits, now)
        except Rejection:
            return record  # to be buried like any other
        if ts is None:
            return record
        self._promised[source] = max(ts, self._promised.get(source, ts))
        if len(self._promised) < self._sources:
            return None
        common = min(self._promised.values())
        if common <= self._told_ts:
            return None
        self._told_ts = common
        value, headers = encode_tick(common)
        return Record("", 0, record.offset, None, value, tuple(headers))

    def delta(self) -> dict[str, bytes | None]:
        """State changed since the last call."""
        if not self._changed:
            return {}
        self._changed = False
        return {_STATE: msgspec.msgpack.encode((self._newest, self._promised, self._told_ts))}

    def restore(self, state: dict[str, bytes]) -> None:
        """Take back what ``delta`` gave; other keys are left alone."""
        if _STATE in state:
            self._newest, self._promised, self._told_ts = msgspec.msgpack.decode(
                state[_STATE], type=tuple[dict[int, tuple[int, int]], dict[int, float], float]
            )
