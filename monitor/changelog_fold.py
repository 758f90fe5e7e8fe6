"""The records of a changelog, and how they add up to a scope's state. Pure; ``monitor.changelog`` moves the bytes.

Every record has a key that no other has, so compaction never takes away what is still needed: a value stays until it
is buried by a record without value, and that happens only after a commit that does without it. A *marker* begins an
epoch: from there on nothing that former owners write counts. Values count once a *commit* of their epoch follows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

_SEPARATOR: Final = "\x1f"
_NOTHING: Final = -1


class Marker(msgspec.Struct, array_like=True, frozen=True, tag="marker"):
    """A new owner."""


class Part(msgspec.Struct, array_like=True, frozen=True, tag="part"):
    """Piece ``part`` of ``parts`` of a value; brokers bound the size of a record."""

    name: str
    part: int
    parts: int
    blob: bytes


class Gone(msgspec.Struct, array_like=True, frozen=True, tag="gone"):
    name: str


class Commit(msgspec.Struct, array_like=True, frozen=True, tag="commit"):
    """Everything before it in its epoch holds, and covers the source up to ``next_offset``; ``live`` values in all."""

    next_offset: int
    live: int


Entry = Marker | Part | Gone | Commit

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Entry)


class Key(NamedTuple):
    """Scope, epoch, and a number counted up within the epoch: never used twice."""

    scope: str
    epoch: str
    number: int

    def encode(self) -> bytes:
        return _SEPARATOR.join((self.scope, self.epoch, str(self.number))).encode()

    @staticmethod
    def decode(raw: bytes) -> Key:
        scope, epoch, number = raw.decode().split(_SEPARATOR)
        return Key(scope, epoch, int(number))


def encode_entry(entry: Entry) -> bytes:
    return _ENCODER.encode(entry)


@dataclass(slots=True)
class Value:
    """A live value and the records it lies in."""

    blob: bytes
    keys: list[bytes]


@dataclass(slots=True)
class _Commits:
    newest: bytes = b""
    entry: Commit = field(default_factory=lambda: Commit(0, 0))


class Fold:
    """Feed it a partition's records in order; then it knows the scope's state."""

    def __init__(self, scope: str) -> None:
        self._scope = scope
        self._epoch = ""
        self._pending: list[tuple[bytes, Part | Gone]] = []
        self._seen: dict[bytes, None] = {}
        self._commits: dict[str, _Commits] = {}
        self._last = Commit(_NOTHING, 0)
        self._name_of: dict[bytes, str] = {}
        self.live: dict[str, Value] = {}

    def feed(self, raw_key: bytes, raw: bytes | None, by: str = "") -> None:
        """One record; ``by``: the epoch of who buries, for one without value.

        Raises ValueError or msgspec.DecodeError for what no ``Changelog`` wrote.
        """
        key = Key.decode(raw_key)
        if key.scope != self._scope:
            return
        if raw is None:
            if by == self._epoch:
                self._bury(raw_key)
            return
        entry = _DECODER.decode(raw)
        if isinstance(entry, Marker):
            self._epoch, self._pending = key.epoch, []
            return
        self._seen[raw_key] = None
        if key.epoch != self._epoch:
            return  # a former owner that does not know yet
        if isinstance(entry, Commit):
            self._apply()
            self._last = entry
            self._commits[key.epoch] = _Commits(raw_key, entry)
        else:
            self._pending.append((raw_key, entry))

    @property
    def next_offset(self) -> int | None:
        """None before the first commit."""
        return None if self._last.next_offset == _NOTHING else self._last.next_offset

    @property
    def missing(self) -> int:
        """Values that the last commit counted and that are not there: more than 0 means that the log was damaged."""
        return self._last.live - len(self.live)

    def garbage(self) -> list[bytes]:
        """Keys of records that the state does without, once a new commit has been written.

        An epoch's newest commit stays as long as values of the epoch are live: without it they would not count.
        """
        needed = {key for value in self.live.values() for key in value.keys}
        epochs = {Key.decode(key).epoch for key in needed}
        needed |= {commits.newest for epoch, commits in self._commits.items() if epoch in epochs}
        return [key for key in self._seen if key not in needed]

    def _apply(self) -> None:
        parts: dict[str, dict[int, tuple[bytes, Part]]] = {}
        for key, entry in self._pending:
            if isinstance(entry, Gone):
                self._drop(entry.name)
                parts.pop(entry.name, None)
                continue
            # Commits that were buried no longer part one value of a name from the next; its first piece does.
            found = {} if entry.part == 0 else parts.get(entry.name, {})
            found[entry.part] = (key, entry)
            parts[entry.name] = found
        for name, found in parts.items():
            pieces = [found[n] for n in sorted(found)]
            # of a value that was replaced later some pieces may be buried already
            if len(pieces) == pieces[0][1].parts:
                self._drop(name)
                self.live[name] = Value(b"".join(p.blob for _, p in pieces), [k for k, _ in pieces])
                self._name_of |= dict.fromkeys(self.live[name].keys, name)
        self._pending = []

    def _drop(self, name: str) -> None:
        value = self.live.pop(name, None)
        for key in value.keys if value else ():
            del self._name_of[key]

    def _bury(self, raw_key: bytes) -> None:
        self._seen.pop(raw_key, None)
        if any(key == raw_key for key, _ in self._pending):
            self._pending = [(key, entry) for key, entry in self._pending if key != raw_key]
        # Only what a later commit replaced is buried; that commit may be buried in its turn by now.
        if raw_key in self._name_of:
            self._drop(self._name_of[raw_key])
