"""Tick records: event time moves on in a partition that carries no events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from monitor.codec.fields import event_time
from monitor.codec.limits import Limits
from monitor.codec.wire import rejection_of
from monitor.event import Reason, Rejection

KIND_HEADER: Final = "vedette-kind"
_TICK: Final = b"tick"
#: A tick has one number; anything much longer is something else under its header.
_MAX_BYTES: Final = 256


class _Tick(msgspec.Struct):
    tick: float


_DECODER: Final = msgspec.json.Decoder(_Tick)
_LIMITS: Final = Limits()


def encode_tick(ts: float) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Value and headers of a record saying that event time in this partition has reached ``ts`` (epoch seconds)."""
    return msgspec.json.encode(_Tick(ts)), [(KIND_HEADER, _TICK)]


def decode_tick(
    value: bytes | None,
    headers: Iterable[tuple[str, bytes]] | None,
    limits: Limits = _LIMITS,
    now: float | None = None,
) -> float | None:
    """The tick's event time; None if the headers do not call the record a tick. A bad tick raises Rejection.

    ``limits.max_future_s`` counts as for events: a tick from the future would close windows before their time.
    """
    # Kafka allows a header without a value
    if not headers or (KIND_HEADER, _TICK) not in [(name, bytes(kind or b"")) for name, kind in headers]:
        return None
    if not value:
        raise Rejection(Reason.EMPTY, "tick: has no value")
    if len(value) > _MAX_BYTES:
        raise Rejection(Reason.TOO_LARGE, f"tick: has {len(value)} bytes; at most {_MAX_BYTES}")
    try:
        tick = _DECODER.decode(value).tick
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise rejection_of(error) from None
    return event_time(tick, limits, now)
