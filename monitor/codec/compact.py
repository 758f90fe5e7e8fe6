"""The compact form: many requests in one record, each MessagePack with little-endian float32 tensors.

A record is a 12-byte header (magic, version, three zero bytes, body length) and a body of frames; a frame is a
length and one request. The header tells a record from JSON by its first byte, and lets records follow one another
in a file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from monitor.codec.assemble import assemble
from monitor.codec.json_event import labels_to_wire
from monitor.codec.limits import Limits
from monitor.codec.tensors import Float32Array, from_bytes
from monitor.codec.wire import CompactClient, CompactEvent, CompactOutputs, rejection_of, required
from monitor.event import Event, Reason, Rejection

#: Not ASCII and not the start of any UTF-8 text.
MAGIC: Final = b"\x89VDT"
VERSION: Final = 1
HEADER: Final = struct.Struct("<4sB3sI")
_LENGTH: Final = struct.Struct("<I")
_ZEROS: Final = bytes(3)
_DECODER: Final = msgspec.msgpack.Decoder(CompactEvent)
_ENCODER: Final = msgspec.msgpack.Encoder()
_NO_OUTPUTS: Final = CompactOutputs()


class Rejected(NamedTuple):
    """Why a request, or the rest of a record, is no event, and its bytes.

    For one bad request among others the bytes are a compact record of that request alone: they can be decoded by
    themselves, and give the same rejection until the limits or the reader change.
    """

    rejection: Rejection
    raw: bytes


def decode_compact(raw: bytes, limits: Limits, now: float | None) -> list[Event | Rejected]:
    """Requests of one record, in order; never raises. A bad request costs itself only, a broken frame the rest."""
    try:
        frames = split(raw, limits)
    except Rejection as rejection:
        return [Rejected(rejection, raw)]
    decoded: list[Event | Rejected] = []
    for frame in frames:
        if isinstance(frame, Rejected):
            decoded.append(frame)
            continue
        try:
            decoded.append(_request(frame, limits, now))
        except Rejection as rejection:
            decoded.append(Rejected(rejection, record_of(framed(frame))))
    return decoded


def split(raw: bytes, limits: Limits) -> Iterator[memoryview | Rejected]:
    """Frames until the body ends; what cannot be told apart any more comes as one Rejected, and is the last.

    Raises Rejection for a record that does not say soundly where its body ends.
    """
    return _frames(_body(raw, limits), limits)


def _body(raw: bytes, limits: Limits) -> memoryview:
    if len(raw) > limits.max_bytes:
        raise Rejection(Reason.TOO_LARGE, f"record has {len(raw)} bytes; at most {limits.max_bytes}")
    length = body_length(raw)
    if length != len(raw) - HEADER.size:
        found = len(raw) - HEADER.size
        raise Rejection(Reason.MALFORMED, f"header promises {length} bytes of requests, {found} follow; send it whole")
    if length == 0:
        raise Rejection(Reason.EMPTY, "record holds no request")
    return memoryview(raw)[HEADER.size :]


def body_length(header: bytes) -> int:
    """Length of the body from the first 12 bytes of a record. UNKNOWN_FORMAT or MALFORMED."""
    if not header.startswith(MAGIC):
        raise Rejection(Reason.UNKNOWN_FORMAT, "does not start with the compact form's magic bytes")
    if len(header) < HEADER.size:
        raise Rejection(Reason.MALFORMED, f"record ends inside its {HEADER.size}-byte header; send it whole")
    _, version, zeros, length = HEADER.unpack_from(header)
    if version != VERSION or zeros != _ZEROS:
        raise Rejection(Reason.UNKNOWN_FORMAT, f"compact form version {version}; this reader knows {VERSION}")
    return int(length)


def _frames(body: memoryview, limits: Limits) -> Iterator[memoryview | Rejected]:
    start = count = 0
    while start < len(body):
        problem = None
        if count >= limits.max_requests:
            problem = Rejection(Reason.OUT_OF_RANGE, f"record holds more than {limits.max_requests} requests; split it")
        elif len(body) - start < _LENGTH.size:
            problem = Rejection(Reason.MALFORMED, f"request {count}: ends inside its length")
        else:
            (length,) = _LENGTH.unpack_from(body, start)
            end = start + _LENGTH.size + length
            if not length or end > len(body):
                problem = Rejection(Reason.MALFORMED, f"request {count}: length {length} does not fit the record")
        if problem is not None:
            yield Rejected(problem, record_of(bytes(body[start:])))
            return
        yield body[start + _LENGTH.size : end]
        start, count = end, count + 1


def _request(frame: memoryview, limits: Limits, now: float | None) -> Event:
    try:
        wire = _DECODER.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise rejection_of(error) from None
    outputs = wire.outputs or _NO_OUTPUTS
    return assemble(
        limits=limits,
        now=now,
        id=required(wire.id, "id"),
        ts=required(wire.ts, "ts"),
        model=required(wire.model, "model"),
        version=wire.version,
        client=wire.client,
        inputs=from_bytes(required(wire.inputs, "inputs"), "inputs", missing=True),
        shape=wire.shape,
        rows=wire.rows,
        scores=None if outputs.scores is None else from_bytes(outputs.scores, "outputs.scores"),
        label=outputs.label,
        value=None if outputs.value is None else from_bytes(outputs.value, "outputs.value"),
        embedding=None if wire.embedding is None else from_bytes(wire.embedding, "embedding"),
        tags=wire.tags,
    )


def encode_compact(events: Sequence[Event]) -> bytes:
    """One record of the events, in order. ``decode_compact`` undoes it to the bit. ValueError past 4 GiB."""
    return record_of(b"".join(map(encode_request, events)))


def encode_request(event: Event) -> bytes:
    """One event as a frame: its length and its MessagePack."""
    return framed(_ENCODER.encode(_wire(event)))


def record_of(frames: bytes) -> bytes:
    """A record of frames that stand one after the other. ValueError past 4 GiB."""
    if len(frames) >= 2**32:
        raise ValueError(f"the events make {len(frames)} bytes; write them as several records")
    return HEADER.pack(MAGIC, VERSION, _ZEROS, len(frames)) + frames


def framed(request: bytes | memoryview) -> bytes:
    """One request's MessagePack as a frame."""
    return _LENGTH.pack(len(request)) + bytes(request)


def _wire(event: Event) -> CompactEvent:
    client = CompactClient(id=event.client_id or None, ip=event.client_ip or None)
    outputs = CompactOutputs(
        scores=_bytes(event.scores),
        label=labels_to_wire(event),
        value=_bytes(event.values),
    )
    return CompactEvent(
        id=event.id,
        ts=event.ts,
        model=event.model,
        version=event.version or None,
        client=client if event.client_id or event.client_ip else None,
        inputs=_bytes(event.x) or b"",
        shape=list(event.shape) if len(event.shape) > 1 else None,
        rows=event.rows if event.rows > 1 else None,
        outputs=outputs if outputs != _NO_OUTPUTS else None,
        embedding=_bytes(event.embedding),
        tags=event.tags or None,
    )


def _bytes(array: Float32Array | None) -> bytes | None:
    return None if array is None else array.astype("<f4", copy=False).tobytes()
