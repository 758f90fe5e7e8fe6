"""Recordings: files of events, JSON lines or compact records, plain or compressed; read as streams, written whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Final, NamedTuple

from monitor.codec import Limits, decode_record, encode_json
from monitor.codec.compact import HEADER, body_length, encode_request, record_of
from monitor.errors import UserError
from monitor.event import Event, Rejection
from replay.compression import DAMAGED, compressing, open_decompressed

_SUFFIXES: Final = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".vdt", ".vdt.zst")
_BOM: Final = b"\xef\xbb\xbf"
_SKIP_BYTES: Final = 1 << 16
#: A compact record is closed before it grows past these: with Kafka's default limit of 1 MB it can be played as it is.
_RECORD_BYTES: Final = 512 * 1024
_RECORD_REQUESTS: Final = 1000
_DEFAULT_LIMITS: Final = Limits()


class RecordingError(UserError, ValueError):
    """A recording that cannot be read on, or not written: names the file, how far it got, and what to do."""


class Bad(NamedTuple):
    """A line, or a request of a compact record, that is no event; ``line`` counts lines or records from 1."""

    line: int
    raw: bytes
    rejection: Rejection


def read_recording(path: Path | str, limits: Limits = _DEFAULT_LIMITS) -> Iterator[Event | Bad]:
    """Events in file order, and what is none in its place; event times are not compared with any clock.

    Within one compact record, bad requests come after the good ones. Raises RecordingError as ``read_raw`` does.
    """
    for line, raw in _numbered(Path(path), limits.max_bytes):
        decoded = decode_record(raw, limits, now=None)
        yield from decoded.events
        for rejection, kept in decoded.rejections:
            yield Bad(line, kept, rejection)


def read_raw(path: Path | str, max_bytes: int = _DEFAULT_LIMITS.max_bytes) -> Iterator[bytes]:
    """Records as they would stand on Kafka: lines without their end, blank ones left out, or compact records.

    A line longer than ``max_bytes`` comes as its first ``max_bytes + 1`` bytes, which every decoder with that limit
    rejects as too large; the rest of it is skipped without being held.

    Raises:
        RecordingError: unknown suffix, no readable file, damaged or cut compression, or a compact record that is cut,
            has a damaged header, or is larger than ``max_bytes``.
    """
    return (raw for _, raw in _numbered(Path(path), max_bytes))


def _numbered(path: Path, max_bytes: int) -> Iterator[tuple[int, bytes]]:
    compact = _is_compact(path)
    unit = "record" if compact else "line"
    number = 0
    try:
        with open_decompressed(path) as file:
            for number, raw in _records(file, max_bytes) if compact else _lines(file, max_bytes):
                yield number, raw
    except (*DAMAGED, Rejection) as error:
        raise RecordingError(f"{path}: damaged after {unit} {number}: {error}; copy the file again") from error
    except OSError as error:
        why = error.strerror or str(error)
        raise RecordingError(f"{path}: cannot be read: {why} ({unit}s so far: {number}); check the path") from error


def _is_compact(path: Path) -> bool:
    if not path.name.endswith(_SUFFIXES):
        raise RecordingError(f"{path}: is no recording by its name; it must end in one of {', '.join(_SUFFIXES)}")
    return path.name.endswith((".vdt", ".vdt.zst"))


def _lines(file: IO[bytes], max_bytes: int) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(max_bytes + 2):  # room for the line's end
        number += 1
        raw = line.rstrip(b"\r\n")
        if number == 1:
            raw = raw.removeprefix(_BOM)
        while line and not line.endswith(b"\n"):
            line = file.readline(_SKIP_BYTES)
        if raw.strip():
            yield number, raw[: max_bytes + 1]


def _records(file: IO[bytes], max_bytes: int) -> Iterator[tuple[int, bytes]]:
    number = 0
    while header := file.read(HEADER.size):
        number += 1
        length = body_length(header)
        if length > max_bytes - HEADER.size:
            raise EOFError(f"record {number} has {length} bytes; at most {max_bytes}")
        body = file.read(length)
        if len(body) < length:
            raise EOFError(f"record {number} ends after {len(body)} of {length} bytes")
        yield number, header + body


class RecordingWriter:
    """Writes a recording next to its place and moves it there when all is written; on an exception nothing is left.

    Use as a context manager. The suffix of ``path`` chooses form and compression; an existing file is replaced.
    Raises RecordingError for an unknown suffix, OSError where the disk does.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._compact = _is_compact(self._path)
        self._temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        self._frames = bytearray()
        self._requests = 0

    def __enter__(self) -> RecordingWriter:
        self._plain = self._temporary.open("wb")
        self._file = compressing(self._path, self._plain)
        return self

    def write(self, event: Event) -> None:
        """Add one event at the end."""
        if not self._compact:
            self._file.write(encode_json(event) + b"\n")
            return
        frame = encode_request(event)
        if self._requests and (len(self._frames) + len(frame) > _RECORD_BYTES or self._requests == _RECORD_REQUESTS):
            self._end_record()
        self._frames += frame
        self._requests += 1

    def _end_record(self) -> None:
        self._file.write(record_of(bytes(self._frames)))
        self._frames.clear()
        self._requests = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
            else:
                with suppress(OSError):  # the exception under way says more than a full disk would
                    self._file.close()
        finally:
            self._plain.close()
            self._temporary.unlink(missing_ok=True)

    def _finish(self) -> None:
        if self._requests:
            self._end_record()
        if self._file is not self._plain:
            self._file.close()
        self._plain.flush()
        os.fsync(self._plain.fileno())
        self._temporary.replace(self._path)
