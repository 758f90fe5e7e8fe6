"""How large and how deep a record may be. Everything a decoder allocates is bounded by these figures."""

from __future__ import annotations

from typing import Final

import msgspec

#: Objects and arrays inside one another, the outermost included.
MAX_DEPTH: Final = 16
#: Dimensions of one row, and of nested ``inputs``.
MAX_DIMS: Final = 8
MAX_NAME_CHARS: Final = 256
MAX_MODEL_CHARS: Final = 128
MAX_TAGS: Final = 64
MAX_TAG_KEY_CHARS: Final = 128
MAX_TAG_VALUE_CHARS: Final = 1024
#: 2100-01-01T00:00:00Z in epoch seconds. Times at or past it are mistakes, most often milliseconds.
MAX_TS: Final = 4102444800.0


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a deployment may choose; the public format fixes the rest.

    Attributes:
        max_bytes: size of one record, JSON or compact, checked before anything is parsed.
        max_rows: rows of one request.
        max_requests: requests in one compact record.
        max_future_s: how far an event time may lie ahead of ``now``; None (recordings) checks nothing.
    """

    max_bytes: int = 8 * 1024 * 1024
    max_rows: int = 65_536
    max_requests: int = 10_000
    max_future_s: float | None = None
