"""The event codecs: bytes to validated events and back. Only this room knows the wire field names."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import compress
from typing import Final, NamedTuple

from monitor.codec.bulk import assemble_plain, assemble_requests
from monitor.codec.compact import MAGIC, Rejected, decode_compact, encode_compact
from monitor.codec.json_event import decode_json, encode_json
from monitor.codec.limits import Limits
from monitor.codec.plain import Plain, plain_compact, plain_json
from monitor.codec.scanned import quick_json
from monitor.event import Event, Reason, Rejection

__all__ = ["Decoded", "DecodedMany", "Limits", "decode_record", "decode_records", "encode_compact", "encode_json"]

#: What JSON text can start with; anything else is told apart from JSON that was cut or garbled.
_JSON_STARTS: Final = frozenset(b'{["-0123456789tfn')
_BOM: Final = b"\xef\xbb\xbf"
#: So many records are worth a compiled loop, which takes a second to load.
LEAST_SCANNED = 64


class Decoded(NamedTuple):
    """What a record held, in its order: events, and what was none with the bytes to keep."""

    events: list[Event]
    rejections: list[tuple[Rejection, bytes]]


def decode_record(raw: bytes | None, limits: Limits, now: float | None = None) -> Decoded:
    """Events and rejections of one record of either form, told apart by its first bytes. Never raises.

    Args:
        raw: the record's value; None (a tombstone) is EMPTY.
        limits: size, rows and clock limits.
        now: wall clock, epoch seconds, against which the future is judged; None judges nothing.
    """
    kept = raw or b""
    try:
        if kept.startswith(MAGIC):
            return _decoded(decode_compact(kept, limits, now))
        _expect_json(kept, limits)
        return Decoded([decode_json(kept, limits, now)], [])
    except Rejection as rejection:
        return Decoded([], [(rejection, kept)])
    except MemoryError:
        raise  # says something about the machine, not about the record
    except Exception as error:
        # A fault of the codec must not let one record stop the stream for everybody: it is kept with its bytes.
        unforeseen = Rejection(Reason.MALFORMED, f"decoder failed with {type(error).__name__}: {error}")
        return Decoded([], [(unforeseen, kept)])


class DecodedMany(NamedTuple):
    """What a run of records held, in its order.

    Attributes:
        events: of all records.
        sources: index of the record each event is from, ascending.
        rejections: index of the record, why, and the bytes to keep; in the records' order.
    """

    events: Sequence[Event]
    sources: Sequence[int]
    rejections: list[tuple[int, Rejection, bytes]]


class _Read(NamedTuple):
    """Events of some records, the record of each, which of the events may be none; and the records left to others."""

    events: Sequence[Event]
    owners: Sequence[int]
    bad: Collection[int]
    rest: Sequence[int]


def decode_records(values: Sequence[bytes | None], limits: Limits, now: float | None = None) -> DecodedMany:
    """``decode_record`` of each value, several times faster for records that are plain; the same to the bit.

    Plain requests are checked together, column by column. A record that holds anything else goes to ``decode_record``.
    """
    found: list[_Read] = []
    rest: Sequence[int] = range(len(values))
    for quickly in (_scanned, _plain):
        try:
            read = quickly(values, rest, limits, now)
        except MemoryError:
            raise
        except Exception:  # noqa: S112 - nothing to log: ``decode_record`` finds whose record it is, if anyone's
            continue
        rest = read.rest
        if read.owners:
            found.append(read)
    if len(found) == 1 and not rest and not found[0].bad:
        return DecodedMany(found[0].events, found[0].owners, [])
    slow = {*rest, *(read.owners[i] for read in found for i in read.bad)}
    sound: dict[int, list[Event]] = {}
    for read in found:
        for owner, event in zip(read.owners, read.events, strict=True):
            if owner not in slow:
                sound.setdefault(owner, []).append(event)
    events: list[Event] = []
    sources: list[int] = []
    rejections: list[tuple[int, Rejection, bytes]] = []
    for i, value in enumerate(values):
        mine, refused = (sound.get(i, []), []) if i not in slow else decode_record(value, limits, now)
        events += mine
        sources += [i] * len(mine)
        rejections += [(i, rejection, raw) for rejection, raw in refused]
    return DecodedMany(events, sources, rejections)


def _scanned(values: Sequence[bytes | None], at: Sequence[int], limits: Limits, now: float | None) -> _Read:
    """JSON records, all in one walk."""
    if len(at) < LEAST_SCANNED:
        return _Read([], [], (), at)
    json = [raw for raw in map(values.__getitem__, at) if raw is not None and raw.startswith(b"{")]
    owners = at if len(json) == len(at) else [i for i in at if (values[i] or b"").startswith(b"{")]
    requests, taken = quick_json(json, limits)
    if requests is None:
        return _Read([], [], (), at)
    events, bad = assemble_requests(requests, limits, now)
    if not taken.all():
        owners = list(compress(owners, taken))
    return _Read(events, owners, bad, [] if len(owners) == len(at) else sorted({*at}.difference(owners)))


def _plain(values: Sequence[bytes | None], at: Sequence[int], limits: Limits, now: float | None) -> _Read:
    """Plain requests of either form, by a parser's call for each."""
    plain: list[Plain] = []
    owners: list[int] = []
    rest: list[int] = []
    for i in at:
        raw = values[i]
        if raw is not None and raw.startswith(b"{"):
            request = plain_json(raw, limits)
            if request is None:
                rest.append(i)
            else:
                plain.append(request)
                owners.append(i)
            continue
        requests = None if raw is None else plain_compact(raw, limits)
        if requests is None:
            rest.append(i)
        else:
            plain += requests
            owners += [i] * len(requests)
    events, bad = assemble_plain(plain, limits, now)
    return _Read(events, owners, bad, rest)


def _decoded(items: list[Event | Rejected]) -> Decoded:
    events = [item for item in items if isinstance(item, Event)]
    return Decoded(events, [(item.rejection, item.raw) for item in items if isinstance(item, Rejected)])


def _expect_json(raw: bytes, limits: Limits) -> None:
    if len(raw) > limits.max_bytes:
        raise Rejection(Reason.TOO_LARGE, f"record has {len(raw)} bytes; at most {limits.max_bytes}")
    if raw[:1] == b"{":
        return
    start = raw.lstrip(b" \t\r\n")[:1]
    if not start:
        raise Rejection(Reason.EMPTY, "record has no value")
    if raw.startswith(_BOM):
        raise Rejection(Reason.MALFORMED, "starts with a byte order mark; write UTF-8 without one")
    if start[0] not in _JSON_STARTS:
        raise Rejection(Reason.UNKNOWN_FORMAT, f"first byte 0x{start[0]:02x} starts neither JSON nor the compact form")
