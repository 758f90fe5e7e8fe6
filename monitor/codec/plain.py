"""Plain requests: those of one row with flat tensors, as nearly all are; quickly out of either form, unchecked.

What is not plain is no fault: ``decode_record`` has the say on it. What is taken here, ``assemble_plain`` checks.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from monitor.codec.compact import HEADER, MAGIC, VERSION
from monitor.codec.limits import Limits
from monitor.codec.wire import CompactClient, CompactOutputs, Labels, PlainCompact, PlainJson, PlainOutputs

#: id, ts, model, version, client id, client address, inputs, shape, scores, label, value, embedding, tags;
#: tensors are float32 bytes. A tuple, so that many turn into columns with one ``zip``.
Plain = tuple[
    str,
    float,
    str,
    str | None,
    str | None,
    str | None,
    bytes,
    list[int] | None,
    bytes | None,
    Labels | None,
    bytes | None,
    bytes | None,
    dict[str, str] | None,
]

_JSON: Final = msgspec.json.Decoder(PlainJson)
_COMPACT: Final = msgspec.msgpack.Decoder(PlainCompact)
_START: Final = HEADER.pack(MAGIC, VERSION, bytes(3), 0)[:8]
_LENGTH: Final = struct.Struct("<I")
_NOT_PLAIN: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError)
_NAN: Final = float("nan")
_NO_CLIENT: Final = CompactClient()
_NO_OUTPUTS: Final = PlainOutputs()
_NO_COMPACT_OUTPUTS: Final = CompactOutputs()


def plain_json(raw: bytes, limits: Limits) -> Plain | None:
    """The request of a JSON record; None if it is not plain."""
    if len(raw) > limits.max_bytes:
        return None
    try:
        wire = _JSON.decode(raw)
        if wire.rows is not None and wire.rows != 1:
            return None
        client, outputs = wire.client or _NO_CLIENT, wire.outputs or _NO_OUTPUTS
        return (
            wire.id,
            wire.ts,
            wire.model,
            wire.version,
            client.id,
            client.ip,
            _float32(wire.inputs),
            wire.shape,
            None if outputs.scores is None else _float32(outputs.scores),
            outputs.label,
            None if outputs.value is None else _float32((outputs.value,)),
            None if wire.embedding is None else _float32(wire.embedding),
            wire.tags,
        )
    except _NOT_PLAIN:
        return None


def plain_compact(raw: bytes, limits: Limits) -> list[Plain] | None:
    """The requests of a compact record; None if any of them is not plain, or the record is broken."""
    frames = plain_frames(raw, limits)
    if frames is None:
        return None
    requests: list[Plain] = []
    try:
        for frame in frames:
            wire = _COMPACT.decode(frame)
            if wire.rows is not None and wire.rows != 1:
                return None
            client, outputs = wire.client or _NO_CLIENT, wire.outputs or _NO_COMPACT_OUTPUTS
            requests.append(
                (
                    wire.id,
                    wire.ts,
                    wire.model,
                    wire.version,
                    client.id,
                    client.ip,
                    wire.inputs,
                    wire.shape,
                    outputs.scores,
                    outputs.label,
                    outputs.value,
                    wire.embedding,
                    wire.tags,
                )
            )
    except _NOT_PLAIN:
        return None
    return requests


def plain_frames(raw: bytes, limits: Limits) -> list[memoryview] | None:
    """The frames of a sound compact record; None if anything about it is wrong."""
    size = len(raw)
    if not HEADER.size < size <= limits.max_bytes or raw[:8] != _START:
        return None
    if _LENGTH.unpack_from(raw, 8)[0] != size - HEADER.size:
        return None
    view, frames, at = memoryview(raw), [], HEADER.size
    while at < size:
        if size - at < _LENGTH.size:
            return None
        start = at + _LENGTH.size
        at = start + _LENGTH.unpack_from(raw, at)[0]
        if not start < at <= size:
            return None
        frames.append(view[start:at])
    return frames if len(frames) <= limits.max_requests else None


def _float32(values: Sequence[float | None]) -> bytes:
    """Native float32 of the numbers, NaN for None; what does not fit becomes infinite, or raises OverflowError."""
    try:
        return _packer(len(values))(*values)
    except struct.error:
        return _packer(len(values))(*[_NAN if v is None else v for v in values])


@lru_cache(maxsize=256)
def _packer(count: int) -> Callable[..., bytes]:
    return struct.Struct(f"{count}f").pack
