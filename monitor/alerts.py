"""The alerts file: one finding a line, each once, whole lines only."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from detectors.finding import Finding


class _Id(msgspec.Struct):
    id: str


class AlertsFile:
    """Appends findings; knows which ids the file holds already and cuts off a line that a crash left half written."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._known: set[str] = set()
        if path.exists():
            data = path.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            if len(whole) < len(data):
                os.truncate(path, len(whole))
            self._known = {msgspec.json.decode(line, type=_Id).id for line in whole.splitlines() if line.strip()}

    def append(self, findings: Iterable[Finding]) -> int:
        """Write those that are new, flushed to disk; how many. Raises OSError; the file is then as it was."""
        new = {f.id: f for f in findings if f.id not in self._known}
        if new:
            with self._path.open("ab") as file:
                end = file.tell()
                try:
                    file.write(b"".join(msgspec.json.encode(f) + b"\n" for f in new.values()))
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    os.truncate(self._path, end)  # a disk that is full may have taken half a line
                    raise
            self._known.update(new)
        return len(new)
