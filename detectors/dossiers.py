"""All dossiers of a panel: who has one, who is gone, and how they are stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
import numpy as np

from detectors.dossier import Dossier, Run


class _Part(msgspec.Struct, array_like=True):
    """One detector's part; ``log_e`` little-endian int64."""

    log_e: bytes
    opinions: int
    run: Run | None
    found: str


class _Record(msgspec.Struct, array_like=True):
    """A client's stored state, by detector name: its dossier and what the detectors remember of it."""

    last_ts: float
    parts: dict[str, _Part]
    memories: dict[str, bytes]


class Dossiers:
    """Dossiers by client key."""

    def __init__(self, detectors: Sequence[str], shape: tuple[int, ...]) -> None:
        """``shape`` of a client's evidence, ``(d, l, g)``."""
        self._detectors = list(detectors)
        self._shape = shape
        self._by_client: dict[str, Dossier] = {}

    def __len__(self) -> int:
        return len(self._by_client)

    def __contains__(self, client: str) -> bool:
        return client in self._by_client

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_client)

    def get(self, client: str) -> Dossier | None:
        return self._by_client.get(client)

    def open(self, client: str) -> Dossier:
        """The client's dossier, a new one if it has none."""
        return self._by_client.setdefault(client, Dossier(self._shape))

    def forget(self, clients: Iterable[str]) -> None:
        for client in clients:
            self._by_client.pop(client, None)

    def idle(self, before_ts: float, most: int) -> list[str]:
        """Clients without an event since ``before_ts``; then, beyond ``most`` clients, those away longest."""
        idle = [client for client, dossier in self._by_client.items() if dossier.last_ts < before_ts]
        excess = len(self._by_client) - len(idle) - most
        if excess > 0:
            rest = set(self._by_client).difference(idle)
            idle += sorted(rest, key=lambda client: (self._by_client[client].last_ts, client))[:excess]
        return idle

    def encode(self, client: str, memories: Mapping[str, bytes]) -> bytes:
        """The client's dossier, and the memories of it by detector name, as bytes."""
        dossier = self._by_client[client]
        parts = {
            name: _Part(
                dossier.log_e[d].astype("<i8").tobytes(), dossier.opinions[d], dossier.runs[d], dossier.found[d]
            )
            for d, name in enumerate(self._detectors)
        }
        return msgspec.msgpack.encode(_Record(dossier.last_ts, parts, dict(memories)))

    def decode(self, client: str, blob: bytes) -> dict[str, bytes]:
        """Take back what ``encode`` gave; the memories by detector name. Detectors not in it begin anew."""
        stored = msgspec.msgpack.decode(blob, type=_Record)
        dossier = Dossier(self._shape)
        dossier.last_ts = stored.last_ts
        for d, name in enumerate(self._detectors):
            part = stored.parts.get(name)
            if part is not None and len(part.log_e) == dossier.log_e[d].nbytes:
                dossier.log_e[d] = np.frombuffer(part.log_e, "<i8").reshape(self._shape[1:])
                dossier.opinions[d], dossier.runs[d], dossier.found[d] = part.opinions, part.run, part.found
        self._by_client[client] = dossier
        return {name: memory for name, memory in stored.memories.items() if name in self._detectors}
