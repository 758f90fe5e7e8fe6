"""The file beside a recording that keeps what is no event: its bytes, the reason and the origin, one a line."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import msgspec

from monitor.event import Reason


class Reject(msgspec.Struct, frozen=True):
    """One line; ``raw`` and ``key`` are base64 in the file. ``time_ms`` is the record's Kafka timestamp."""

    topic: str
    partition: int
    offset: int
    time_ms: int
    key: bytes | None
    reason: Reason
    detail: str
    raw: bytes


class RejectsFile:
    """Written line by line, so that a crash keeps what was seen; not created before the first line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def write(self, reject: Reject) -> None:
        """Add one line. Raises OSError where the disk does."""
        if self._file is None:
            self._file = self._path.open("wb")
        self._file.write(msgspec.json.encode(reject) + b"\n")

    def __enter__(self) -> RejectsFile:
        self._path.unlink(missing_ok=True)  # of an earlier recording of that name
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
