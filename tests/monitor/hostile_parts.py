"""How hostile and nasty records are put together."""

from __future__ import annotations

import json
import struct
from typing import Any, Final

import msgspec
import numpy as np

from monitor.event import Reason

#: Name, bytes, and the one reason for which they must be rejected.
Hostile = tuple[str, bytes, Reason]

#: As a field's value: leave the field out.
DROP: Final = object()
GOOD: dict[str, Any] = {
    "id": "r-1",
    "ts": 1763683200.25,
    "model": "digits",
    "inputs": [0, 0.5, 1, 0.25],
    "shape": [2, 2],
    "outputs": {"scores": [0.25, 0.75], "label": 1},
}


def event_json(**fields: Any) -> bytes:
    """A good event with fields replaced, or left out where the value is ``DROP``."""
    return json.dumps({k: v for k, v in (GOOD | fields).items() if v is not DROP}).encode()


def spliced(field: str, token: str | bytes) -> bytes:
    """A good event in which one field's value is the given bytes, JSON or not."""
    raw = token.encode() if isinstance(token, str) else token
    return event_json(**{field: "@@"}).replace(b'"@@"', raw)


def compact_record(frames: list[bytes], body_bytes: int | None = None, version: int = 1) -> bytes:
    """A compact record built by hand from the specification, so that it checks the encoder too."""
    body = b"".join(struct.pack("<I", len(frame)) + frame for frame in frames)
    length = len(body) if body_bytes is None else body_bytes
    return b"\x89VDT" + bytes([version, 0, 0, 0]) + struct.pack("<I", length) + body


def request_bytes(**fields: Any) -> bytes:
    """MessagePack of a good request with fields replaced, or left out where the value is ``DROP``."""
    base = GOOD | {
        "inputs": np.array([0, 0.5, 1, 0.25], "<f4").tobytes(),
        "outputs": {"scores": np.array([0.25, 0.75], "<f4").tobytes(), "label": 1},
    }
    return msgspec.msgpack.encode({k: v for k, v in (base | fields).items() if v is not DROP})
