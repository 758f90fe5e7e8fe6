"""Whose record is it: re-keying of a topic that is not keyed by client, without decoding what the requests hold."""

from __future__ import annotations

from typing import Final

import msgspec

from monitor.codec import fields
from monitor.codec.compact import HEADER, framed, record_of, split
from monitor.codec.limits import Limits
from monitor.codec.plain import plain_frames
from monitor.codec.wire import Client
from monitor.event import Reason, Rejection, client_key


class _Routed(msgspec.Struct, gc=False):
    """All a key is made of; the parser skips the rest."""

    client: Client | None = None


_JSON: Final = msgspec.json.Decoder(_Routed)
_COMPACT: Final = msgspec.msgpack.Decoder(_Routed)
#: Key of what cannot be decoded: any partition will do, the codec there rejects it.
_NOBODY: Final = b""


def routes(raw: bytes, limits: Limits) -> list[tuple[bytes, bytes]]:
    """(key, record) per client of the record, in order of the clients' first requests. Never raises.

    The key is ``Event.client`` of each event that the codec makes of the record, so that a client's requests reach one
    partition in their order. JSON is one pair with the bytes as they came; a compact record of several clients
    becomes one for each, every request untouched. Anything that is no record of either form is one pair under the
    key ``b""``, and so is what follows the last sound request of a broken record, and a record of more requests than
    ``limits`` allows. A bad request may get any key: wherever it goes, it is rejected with its own bytes.
    """
    if len(raw) > limits.max_bytes:
        return [(_NOBODY, raw)]
    if raw.lstrip(b" \t\r\n").startswith(b"{"):
        return [(_key(_JSON, raw), raw)]
    frames, rest = _frames(raw, limits)
    if not frames:
        return [(_NOBODY, raw)]
    by_client: dict[bytes, list[memoryview]] = {}
    for frame in frames:
        by_client.setdefault(_key(_COMPACT, frame), []).append(frame)
    if rest:
        by_client.setdefault(_NOBODY, [])
    if len(by_client) == 1:
        return [(key, raw) for key in by_client]
    records = {key: b"".join(map(framed, mine)) for key, mine in by_client.items()}
    return [(key, record_of(body + rest if key == _NOBODY else body)) for key, body in records.items()]


def _frames(raw: bytes, limits: Limits) -> tuple[list[memoryview], bytes]:
    """The frames of a compact record, and what stands after the last sound one; no frames if it must stay whole."""
    frames = plain_frames(raw, limits)
    if frames is not None:
        return frames, b""
    frames = []
    try:
        for frame in split(raw, limits):
            if isinstance(frame, memoryview):
                frames.append(frame)
            elif frame.rejection.reason is Reason.OUT_OF_RANGE:
                return [], b""  # apart, the requests beyond the limit would be taken for good
            else:
                return frames, frame.raw[HEADER.size :]
    except Rejection:
        pass
    return [], b""


def _key(decoder: msgspec.json.Decoder[_Routed] | msgspec.msgpack.Decoder[_Routed], raw: bytes | memoryview) -> bytes:
    try:
        client = decoder.decode(raw).client
        if client is None or client.id or client.ip is None:
            return client_key((client and client.id) or "", "").encode()
        return client_key("", fields.address(client.ip)).encode()
    except (msgspec.DecodeError, UnicodeError, RecursionError, Rejection):
        return _NOBODY
