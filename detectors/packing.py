"""Values as compressed MessagePack."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec
import zstandard

T = TypeVar("T")

#: Quick, and still makes ids and counts short; what is random stays as it is.
_LEVEL: Final = -1
_MOST_BYTES: Final = 1 << 28


def pack(value: Any) -> bytes:
    """Equal values give equal bytes."""
    return zstandard.ZstdCompressor(level=_LEVEL).compress(msgspec.msgpack.encode(value))


def unpack(blob: bytes, kind: type[T]) -> T:
    """Raises ValueError for bytes that ``pack`` did not give, or that would be more than 256 MiB."""
    try:
        # The decompressor takes what it asks for from the frame, whatever the most is that it is told.
        if zstandard.frame_content_size(blob) > _MOST_BYTES:
            raise ValueError(f"more than {_MOST_BYTES} bytes")
        raw = zstandard.ZstdDecompressor().decompress(blob, max_output_size=_MOST_BYTES)
        return msgspec.msgpack.decode(raw, type=kind)
    except (zstandard.ZstdError, RecursionError) as error:  # what msgspec raises is a ValueError
        raise ValueError(str(error)) from error
