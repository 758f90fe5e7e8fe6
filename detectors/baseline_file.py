"""The baseline file: a fixed preamble, a MessagePack header, raw little-endian arrays, a checksum. No pickle.

    offset  bytes
    0       8      magic: "VEDETTEB", or that of another kind of file in this form (``Kind``)
    8       2      format version, little-endian like all that follows
    10      2      zero
    12      4      length of the header, h
    16      8      length of the whole file
    24      h      header: {meta, arrays: [[key, dtype, shape], ...]}, padded to 8 bytes
    ...            the arrays in the header's order, each padded to 8 bytes
    end-32  32     BLAKE2b-256 of everything before it

Every length is checked against the bytes that are there before anything is allocated by it.
"""

from __future__ import annotations

import hashlib
import math
import os
import struct
import tempfile
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

MAX_BYTES: Final = 1 << 30
FORMAT: Final = 2
_PREAMBLE: Final = struct.Struct("<8sHHIQ")
_DIGEST: Final = 32
_DTYPES: Final = ("<f8", "<f4", "<i8", "<i4", "<i2", "|i1", "<u8", "<u4", "<u2", "|u1")


class Kind(NamedTuple):
    """What a file is: its first 8 bytes, what people call it, and how another format of it is cured."""

    magic: bytes
    name: str
    cure: str


BASELINE: Final = Kind(b"VEDETTEB", "baseline", "calibrate again")

#: Arrays by a key of four names.
Arrays = dict[tuple[str, str, str, str], npt.NDArray[np.generic]]
Meta = TypeVar("Meta", bound=msgspec.Struct)


class BaselineError(ValueError):
    """A file that is no sound baseline; the message says what is wrong with it."""


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    key: tuple[str, str, str, str]
    dtype: str
    shape: tuple[int, ...]


class _Header(msgspec.Struct, frozen=True):
    meta: msgspec.Raw
    arrays: list[_Entry]


def encode(meta: msgspec.Struct, arrays: Arrays, kind: Kind = BASELINE) -> bytes:
    """The whole file. The same parts give the same bytes, in whatever order the arrays come.

    Raises ValueError for an array of a type that the file does not hold.
    """
    entries, body = [], []
    for key in sorted(arrays):
        array = np.asarray(arrays[key])
        plain = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
        if plain.dtype.str not in _DTYPES:
            raise ValueError(f"{key} has type {array.dtype}, which a {kind.name} does not hold")
        entries.append(_Entry(key, plain.dtype.str, plain.shape))
        body.append(_padded(plain.tobytes()))
    encoder = msgspec.msgpack.Encoder(order="deterministic")
    header = encoder.encode(_Header(msgspec.Raw(encoder.encode(meta)), entries))
    length = _PREAMBLE.size + len(_padded(header)) + sum(map(len, body)) + _DIGEST
    blob = b"".join([_PREAMBLE.pack(kind.magic, FORMAT, 0, len(header), length), _padded(header), *body])
    return blob + hashlib.blake2b(blob, digest_size=_DIGEST).digest()


def decode(blob: bytes, meta_type: type[Meta], kind: Kind = BASELINE) -> tuple[Meta, Arrays]:
    """Meta data and arrays. Raises BaselineError."""
    if len(blob) < _PREAMBLE.size + _DIGEST or blob[:8] != kind.magic:
        raise BaselineError(f"not a Vedette {kind.name}")
    _, version, _, header_length, length = _PREAMBLE.unpack_from(blob)
    if version != FORMAT:
        raise BaselineError(f"format {version}, but this version reads format {FORMAT}; {kind.cure}")
    if length != len(blob):
        raise BaselineError(f"{len(blob)} bytes where {length} were written: cut short or damaged")
    if checksum(blob) != hashlib.blake2b(blob[:-_DIGEST], digest_size=_DIGEST).digest():
        raise BaselineError("the checksum does not match: the file is damaged")
    start = _PREAMBLE.size + header_length + -header_length % 8
    end = len(blob) - _DIGEST
    if start > end:
        raise BaselineError("the header is longer than the file")
    try:
        header = msgspec.msgpack.decode(blob[_PREAMBLE.size : _PREAMBLE.size + header_length], type=_Header)
        meta = msgspec.msgpack.decode(header.meta, type=meta_type)
    except (msgspec.MsgspecError, RecursionError):
        raise BaselineError("the header makes no sense") from None
    arrays: Arrays = {}
    for entry in header.arrays:
        if entry.dtype not in _DTYPES or len(entry.shape) > 8 or not all(0 <= n <= MAX_BYTES for n in entry.shape):
            raise BaselineError("an array's type or shape makes no sense")
        count = math.prod(entry.shape)
        size = count * np.dtype(entry.dtype).itemsize
        if size > end - start:
            raise BaselineError("an array is longer than the file")
        arrays[entry.key] = np.frombuffer(blob, entry.dtype, count, start).reshape(entry.shape)
        start += size + -size % 8
    return meta, arrays


def write(path: Path, blob: bytes, mode: int) -> None:
    """Write the file, with these permission bits, whole or not at all. Raises OSError."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def checksum(blob: bytes) -> bytes:
    """The checksum that a whole file carries."""
    return blob[-_DIGEST:]


def _padded(raw: bytes) -> bytes:
    return raw + b"\0" * (-len(raw) % 8)
