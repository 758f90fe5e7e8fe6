"""Dead letters: a rejected record's bytes untouched, and in Kafka headers why it was rejected and where it was."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from monitor.event import Reason, Rejection

Headers = list[tuple[str, bytes]]

_REASON: Final = "vedette-reason"
_DETAIL: Final = "vedette-detail"
_TOPIC: Final = "vedette-topic"
_PARTITION: Final = "vedette-partition"
_OFFSET: Final = "vedette-offset"
_TIME: Final = "vedette-time"
_KEY: Final = "vedette-key"


class DeadLetter(msgspec.Struct, frozen=True):
    """A dead letter read back.

    Attributes:
        raw: the rejected bytes; empty for a record without a value.
        topic, partition, offset: where the record was.
        key: the record's key, None if it had none.
        time_ms: the record's Kafka timestamp, epoch milliseconds, None if unknown.
    """

    raw: bytes
    reason: Reason
    detail: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    time_ms: int | None


def encode_dead_letter(
    raw: bytes | None,
    rejection: Rejection,
    topic: str,
    partition: int,
    offset: int,
    key: bytes | None,
    time_ms: int | None = None,
) -> tuple[bytes, Headers]:
    """Value and headers of the dead letter. Header values are printable ASCII; the key is percent-encoded."""
    headers = [
        (_REASON, rejection.reason.value.encode()),
        (_DETAIL, rejection.detail.encode()),
        (_TOPIC, topic.encode()),
        (_PARTITION, b"%d" % partition),
        (_OFFSET, b"%d" % offset),
    ]
    if time_ms is not None:
        headers.append((_TIME, b"%d" % time_ms))
    if key is not None:
        headers.append((_KEY, quote_from_bytes(key).encode()))
    return raw or b"", headers


def decode_dead_letter(value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> DeadLetter:
    """The reverse; of a repeated header the last counts. Raises ValueError if they are not those of a dead letter."""
    found = dict(headers)
    try:
        return DeadLetter(
            raw=value or b"",
            reason=Reason(found[_REASON].decode()),
            detail=found[_DETAIL].decode(),
            topic=found[_TOPIC].decode(),
            partition=int(found[_PARTITION]),
            offset=int(found[_OFFSET]),
            key=unquote_to_bytes(found[_KEY]) if _KEY in found else None,
            time_ms=int(found[_TIME]) if _TIME in found else None,
        )
    except KeyError as error:
        raise ValueError(f"not a dead letter: header {error} is absent") from None
