"""Where the requests of quarantined clients are kept: private, bounded, each once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from responders import atomic_file

REQUESTS: Final = "requests.jsonl"
#: Empty file that says that requests were refused for lack of room: the record is not whole.
TRUNCATED: Final = "truncated"
_MAX_OPEN: Final = 256


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of the events of one call: ``stored + duplicates + refused`` is their number."""

    stored: int
    duplicates: int
    refused: int


class _EventId(msgspec.Struct):
    id: str


@dataclass(slots=True)
class _Record:
    size: int
    seen: set[bytes]


def folder_name(model: str, client: str) -> str:
    """A file name for a model and a client key, hostile text both: what is harmless of them, and a 128-bit hash."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (model, client):
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "little") + raw)
    harmless = [re.sub(r"[^a-zA-Z0-9-]+", "_", part[:24]).strip("_-") or "x" for part in (model, client)]
    return f"{harmless[0]}.{harmless[1]}.{digest.hexdigest()}"


def private_folder(folder: Path) -> Path:
    """Make the folder for its owner alone (0700). Raises OSError if its parent is missing or it is a symlink."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        atomic_file.sync_folder(folder.parent)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(fd, 0o700)
    finally:
        os.close(fd)
    return folder


class QuarantineStore:
    """Appends requests to ``DIR/NAME/requests.jsonl``, a recording in the public event format.

    Processes that share the folder take turns at a file: a worker that has lost a partition and does not know yet, and
    the one that has taken it over, may store the same request at the same moment.

    Requests are whole lines: the tail that a crash cut short is dropped when the file is next opened, and the replayed
    events fill the gap. Memory: 8 bytes of hash per stored request, for the 256 clients stored most recently.

    Args:
        max_client_bytes: a client's file never grows beyond this; what does not fit is refused and counted.
        max_total_bytes: the same for all files together, released ones included.
    """

    def __init__(
        self, directory: Path, *, max_client_bytes: int = 64 * 1024**2, max_total_bytes: int = 4 * 1024**3
    ) -> None:
        self._directory = directory
        self._max_client_bytes = max_client_bytes
        self._max_total_bytes = max_total_bytes
        self._open: OrderedDict[str, _Record] = OrderedDict()
        self._mutex = threading.Lock()
        self._total = _total_bytes(directory)

    def store(self, model: str, client: str, events: Sequence[tuple[str, bytes]]) -> Stored:
        """Keep events, given as ``(id, JSON without a line feed)``, of a client key; they are on disk on return.

        Raises:
            OSError: nothing of this call is kept then (disk full, folder missing).
            ValueError: an event holds a line feed.
        """
        if any(b"\n" in line for _, line in events):
            raise ValueError("a stored event must be one line")
        with self._mutex:
            name = folder_name(model, client)
            folder = private_folder(private_folder(self._directory) / name)
            with atomic_file.locked(folder / REQUESTS):
                return self._add(name, folder, events)

    def rescan(self) -> None:
        """Measure the folder again, after somebody may have deleted released records."""
        with self._mutex:
            self._total = _total_bytes(self._directory)

    def _add(self, name: str, folder: Path, events: Sequence[tuple[str, bytes]]) -> Stored:
        record = self._opened(name, folder)
        fresh: dict[bytes, bytes] = {}
        room = min(self._max_client_bytes - record.size, self._max_total_bytes - self._total)
        duplicates = refused = 0
        for event_id, line in events:
            key = _key(event_id)
            if key in record.seen or key in fresh:
                duplicates += 1
            elif len(line) + 1 > room:
                refused += 1
            else:
                fresh[key] = line + b"\n"
                room -= len(line) + 1
        if refused:
            (folder / TRUNCATED).touch(mode=0o600)
        if fresh:
            added = _append(folder / REQUESTS, b"".join(fresh.values()))
            record.seen |= fresh.keys()
            record.size += added
            self._total += added
        return Stored(len(fresh), duplicates, refused)

    def _opened(self, name: str, folder: Path) -> _Record:
        known = self._open.pop(name, None)
        if known is None or known.size != _size(folder / REQUESTS):
            known = _load(folder / REQUESTS)
        self._open[name] = known
        if len(self._open) > _MAX_OPEN:
            self._open.popitem(last=False)
        return known


def _key(event_id: str) -> bytes:
    return hashlib.blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def _total_bytes(directory: Path) -> int:
    return sum(_size(path) for path in directory.glob(f"*/{REQUESTS}"))


def _open_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)


def _load(path: Path) -> _Record:
    """What is stored so far; a last line without its end is cut off."""
    record = _Record(0, set())
    with os.fdopen(_open_file(path), "r+b") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            record.size += len(line)
            try:
                record.seen.add(_key(msgspec.json.decode(line, type=_EventId).id))
            except msgspec.MsgspecError:
                continue  # not written by us; it takes up room, and no event is a duplicate of it
        file.truncate(record.size)
    return record


def _append(path: Path, data: bytes) -> int:
    """All of ``data`` durably at the end of the file, or nothing of it and an OSError."""
    with os.fdopen(_open_file(path), "ab", buffering=0) as file:
        before = os.fstat(file.fileno()).st_size
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) or 0 :]
            os.fsync(file.fileno())
        except OSError:
            os.ftruncate(file.fileno(), before)
            raise
    if before == 0:
        atomic_file.sync_folder(path.parent)
    return len(data)
