"""The spool: dead letters that their topic would not take, one JSON object a line in ``dead-letters.jsonl``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from monitor.codec.dead_letter import DeadLetter
from monitor.dead_letters import Letter, identity_of
from monitor.event import Reason
from monitor.intake import DeadLetter as Buried

SPOOL: Final = "dead-letters.jsonl"


class _Line(msgspec.Struct):
    """``raw`` and ``key`` are base64 on disk; lines of older versions have no key and no time."""

    reason: Reason
    detail: str
    topic: str
    partition: int
    offset: int
    raw: bytes
    key: bytes | None = None
    time_ms: int | None = None


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(_Line)


def append(path: Path, letter: Buried, now: float) -> None:
    """Add a line; ``now`` in epoch seconds. The file holds payloads: it is closed to others. Raises OSError."""
    record, why = letter.record, letter.rejection
    line = _Line(
        why.reason,
        why.detail,
        record.topic,
        record.partition,
        record.offset,
        letter.raw,
        record.key,
        int(now * 1000),
    )
    with path.open("ab") as file:
        path.chmod(0o600)
        file.write(_ENCODER.encode(line) + b"\n")


def read_spool(path: Path, unreadable: Callable[[int], None] = lambda _line: None) -> Iterator[Letter]:
    """Its letters, each once however often a crash had it written; none where there is no file.

    Args:
        path: the file.
        unreadable: told the number of each line that is no letter (a crash can cut the last one).
    """
    if not path.exists():
        return
    seen: set[str] = set()
    with path.open("rb") as file:
        for number, text in enumerate(file, 1):
            try:
                line = _DECODER.decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError):
                unreadable(number)
                continue
            content = DeadLetter(
                line.raw, line.reason, line.detail, line.topic, line.partition, line.offset, line.key, line.time_ms
            )
            identity = identity_of(content)
            if identity not in seen:
                seen.add(identity)
                yield Letter(f"spool/{identity}", content, line.time_ms)
