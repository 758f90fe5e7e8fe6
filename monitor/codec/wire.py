"""The field names and types of the public event format, as both encodings carry them. See docs/event-format.md."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from monitor.codec.limits import MAX_DEPTH
from monitor.event import Reason, Rejection

_T = TypeVar("_T")

# A number, null, or arrays of them inside one another. Unrolled as deep as a document may be, so that the decoder
# itself checks every leaf: a recursive alias is not supported, and Any would let strings and booleans through.
_Nested: Any = float | None
for _ in range(MAX_DEPTH):
    _Nested = float | None | list[_Nested]

Labels = int | str | list[int | str]


class Client(msgspec.Struct, omit_defaults=True):
    """``client``: null counts as absent, here and in every other optional field."""

    id: str | None = None
    ip: str | None = None


class JsonOutputs(msgspec.Struct, omit_defaults=True):
    """``outputs`` of the JSON form."""

    scores: list[float | list[float]] | None = None
    label: Labels | None = None
    value: float | list[float] | None = None


class JsonEvent(msgspec.Struct, omit_defaults=True):
    """The JSON form. Required fields default to UNSET so that an absent one is told from one of a wrong type."""

    id: str | UnsetType = UNSET
    ts: float | str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    version: str | None = None
    client: Client | None = None
    inputs: list[_Nested] | UnsetType = UNSET
    shape: list[int] | None = None
    rows: int | None = None
    outputs: JsonOutputs | None = None
    embedding: list[float | list[float]] | None = None
    tags: dict[str, str] | None = None


class PlainOutputs(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """``outputs`` as ``PlainJson`` takes it."""

    scores: list[float] | None = None
    label: Labels | None = None
    value: float | None = None


class CompactOutputs(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """``outputs`` of the compact form: tensors are little-endian float32 bytes."""

    scores: bytes | None = None
    label: Labels | None = None
    value: bytes | None = None


class CompactClient(Client, omit_defaults=True, forbid_unknown_fields=True):
    """``client`` of the compact form."""


class PlainJson(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The JSON form as most senders write it, and no other: flat arrays, one row, time as a number.

    Whatever it takes, ``JsonEvent`` takes with the same values. Being closed bounds the nesting far below MAX_DEPTH
    and leaves no text unread, so neither has to be looked for. No cycle can be made of it: no work for the collector.
    """

    id: str
    ts: float
    model: str
    inputs: list[float | None]
    version: str | None = None
    client: CompactClient | None = None
    shape: list[int] | None = None
    rows: int | None = None
    outputs: PlainOutputs | None = None
    embedding: list[float] | None = None
    tags: dict[str, str] | None = None


class PlainCompact(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The compact form where nothing is missing. Whatever it takes, ``CompactEvent`` takes with the same values."""

    id: str
    ts: float
    model: str
    inputs: bytes
    version: str | None = None
    client: CompactClient | None = None
    shape: list[int] | None = None
    rows: int | None = None
    outputs: CompactOutputs | None = None
    embedding: bytes | None = None
    tags: dict[str, str] | None = None


class CompactEvent(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """One request of the compact form. Closed: a new field raises the version in the record's header.

    Being closed also bounds the nesting: the decoder never has to skip a value of a type it does not know.
    """

    id: str | UnsetType = UNSET
    ts: float | UnsetType = UNSET
    model: str | UnsetType = UNSET
    version: str | None = None
    client: CompactClient | None = None
    inputs: bytes | UnsetType = UNSET
    shape: list[int] | None = None
    rows: int | None = None
    outputs: CompactOutputs | None = None
    embedding: bytes | None = None
    tags: dict[str, str] | None = None


def required(value: _T | UnsetType, field: str) -> _T:
    """The value, unless it is absent: MISSING_FIELD."""
    if isinstance(value, UnsetType):
        raise Rejection(Reason.MISSING_FIELD, f"{field}: is required and absent; add it")
    return value


def rejection_of(error: msgspec.DecodeError | UnicodeDecodeError | RecursionError) -> Rejection:
    """What a decoder's error means for the record. msgspec's texts name the field's path and the expected type."""
    text = str(error)
    if isinstance(error, RecursionError):
        return Rejection(Reason.TOO_DEEP, f"nests too deep; at most {MAX_DEPTH} levels")
    if isinstance(error, UnicodeDecodeError):
        return Rejection(Reason.MALFORMED, "a text is not valid UTF-8; encode it as UTF-8")
    if not isinstance(error, msgspec.ValidationError):
        return Rejection(Reason.MALFORMED, text)
    if "out of range" in text:
        return Rejection(Reason.OUT_OF_RANGE, text)
    if "unknown field" in text:
        return Rejection(Reason.UNKNOWN_FORMAT, f"{text}; version 1 of the compact form has no such field")
    return Rejection(Reason.WRONG_TYPE, text)
