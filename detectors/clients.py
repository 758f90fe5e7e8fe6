"""Client keys to slots: small numbers under which everything about a client is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat

import numpy as np

from detectors.batch import EventBatch, IntArray
from detectors.rows import Rows


class Clients:
    """Who is known, each under a slot of its own; slots of clients that were forgotten are used again."""

    def __init__(self) -> None:
        self._slots: dict[str, int] = {}
        self._names: list[str] = []
        self._free: list[int] = []
        #: Characters of all keys.
        self.text = 0

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, client: object) -> bool:
        return client in self._slots

    def __iter__(self) -> Iterator[str]:
        return iter(self._slots)

    @property
    def slots(self) -> int:
        """Slots in use or free: one more than the highest."""
        return len(self._names)

    def all(self) -> IntArray:
        """Slots of all clients."""
        return np.fromiter(self._slots.values(), np.int64, len(self._slots))

    def names(self, slots: IntArray) -> list[str]:
        names = self._names
        return [names[slot] for slot in slots.tolist()]

    def find(self, clients: Sequence[str]) -> IntArray:
        """Slots ``(n,)``; -1 for strangers."""
        return np.fromiter(map(self._slots.get, clients, repeat(-1)), np.int64, len(clients))

    def open(self, clients: Sequence[str]) -> IntArray:
        """Slots ``(n,)``; strangers are given one each."""
        slots = self.find(clients)
        for i in np.flatnonzero(slots < 0).tolist():
            slots[i] = self._open(clients[i])
        return slots

    def rows(self, batch: EventBatch) -> Rows:
        """The batch with its clients' slots."""
        return Rows(batch, self.open(batch.clients))

    def forget(self, clients: Iterable[str]) -> IntArray:
        """Slots that were theirs; unknown ones are passed over."""
        freed = [slot for slot in (self._slots.pop(client, -1) for client in clients) if slot >= 0]
        for slot in freed:
            self.text -= len(self._names[slot])
            self._names[slot] = ""
        self._free += freed
        return np.array(freed, dtype=np.int64)

    def _open(self, client: str) -> int:
        slot = self._slots.get(client, -1)
        if slot < 0:
            slot = self._free.pop() if self._free else len(self._names)
            if slot == len(self._names):
                self._names.append(client)
            else:
                self._names[slot] = client
            self._slots[client] = slot
            self.text += len(client)
        return slot
