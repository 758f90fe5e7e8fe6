"""The event codecs: bytes to validated events and back. Only this room knows the wire field names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from monitor.codec.bulk import assemble_plain
from monitor.codec.compact import MAGIC, Rejected, decode_compact, encode_compact
from monitor.codec.json_event import decode_json, encode_json
from monitor.codec.limits import Limits
from monitor.codec.plain import Plain, plain_compact, plain_json
from monitor.event import Event, Reason, Rejection

__all__ = ["Decoded", "DecodedMany", "Limits", "decode_record", "decode_records", "encode_compact", "encode_json"]

#: What JSON text can start with; anything else is told apart from JSON that was cut or garbled.
_JSON_STARTS: Final = frozenset(b'{["-0123456789tfn')
_BOM: Final = b"\xef\xbb\xbf"


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

    events: list[Event]
    sources: Sequence[int]
    rejections: list[tuple[int, Rejection, bytes]]


def decode_records(values: Sequence[bytes | None], limits: Limits, now: float | None = None) -> DecodedMany:
    """``decode_record`` of each value, several times faster for records that are plain; the same to the bit.

    Plain requests are checked together, column by column. A record that holds anything else goes to ``decode_record``.
    """
    plain, owners, rest = _plain(values, limits)
    try:
        events, bad = assemble_plain(plain, limits, now)
    except MemoryError:
        raise
    except Exception:
        # As above: a fault here must not stop the stream. ``decode_record`` finds whose record it is, if anyone's.
        events, bad = [], set(range(len(plain)))
    if not rest and not bad:
        return DecodedMany(events, owners, [])
    slow = {*rest, *(owners[i] for i in bad)}
    sound: dict[int, list[Event]] = {}
    for owner, event in zip(owners, events, strict=False):
        if owner not in slow:
            sound.setdefault(owner, []).append(event)
    merged = DecodedMany([], sources := [], [])
    for i, value in enumerate(values):
        found, rejections = (sound.get(i, []), []) if i not in slow else decode_record(value, limits, now)
        merged.events.extend(found)
        sources.extend([i] * len(found))
        merged.rejections.extend((i, rejection, raw) for rejection, raw in rejections)
    return merged


def _plain(values: Sequence[bytes | None], limits: Limits) -> tuple[list[Plain], list[int], list[int]]:
    """Plain requests, the record of each, and the records that hold anything else."""
    plain: list[Plain] = []
    owners: list[int] = []
    rest: list[int] = []
    for i, raw in enumerate(values):
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
    return plain, owners, rest


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
