"""Client keys to slots: small numbers under which everything about a client is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np

from detectors.batch import EventBatch, IntArray
from detectors.growing import grown
from detectors.kernels.slots import EMPTY, enter, find, leave
from detectors.rows import Rows
from detectors.texts import Texts

#: The table of keys has at least so many places for each.
_PLACES: Final = 2


class Clients:
    """Who is known, each under a slot of its own; slots of clients that were forgotten are used again.

    Keys are looked up by ``Texts.identities``. Of a million keys of 12 bytes some two share one, and are taken for one
    client, with a probability of at most 2e-5; nobody can bring that about.
    """

    def __init__(self) -> None:
        self._table = _table(1)
        #: By slot: the key, and its identity; ``EMPTY`` of a slot that is free.
        self._names: list[str] = []
        self._identities: IntArray = np.empty(0, dtype=np.int64)
        self._free: list[int] = []
        #: Characters of all keys.
        self.text = 0

    def __len__(self) -> int:
        return len(self._names) - len(self._free)

    def __contains__(self, client: str) -> bool:
        return bool(self.find([client])[0] >= 0)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names(self.all()))

    @property
    def slots(self) -> int:
        """Slots in use or free: one more than the highest."""
        return len(self._names)

    def all(self) -> IntArray:
        """Slots of all clients, ascending."""
        return np.flatnonzero(self._identities[: self.slots] != EMPTY)

    def names(self, slots: IntArray) -> list[str]:
        names = self._names
        return [names[slot] for slot in slots.tolist()]

    def find(self, clients: Sequence[str]) -> IntArray:
        """Slots ``(n,)``; -1 for strangers."""
        return self._find(Texts.of(clients).identities())

    def open(self, clients: Sequence[str]) -> IntArray:
        """Slots ``(n,)``; strangers are given one each."""
        identities = Texts.of(clients).identities()
        slots = self._find(identities)
        strangers = np.flatnonzero(slots < 0)
        if len(strangers):
            _, first = np.unique(identities[strangers], return_index=True)
            new = strangers[np.sort(first)]
            self._enter([clients[i] for i in new.tolist()], identities[new])
            slots[strangers] = self._find(identities[strangers])
        return slots

    def rows(self, batch: EventBatch) -> Rows:
        """The batch with its clients' slots."""
        return Rows(batch, self.open(batch.clients))

    def forget(self, clients: Iterable[str]) -> IntArray:
        """Slots that were theirs; unknown ones are passed over."""
        slots = self.find(list(dict.fromkeys(clients)))
        slots = slots[slots >= 0]
        leave(self._identities[slots], self._table)
        self._identities[slots] = EMPTY
        freed = slots.tolist()
        for slot in freed:
            self.text -= len(self._names[slot])
            self._names[slot] = ""
        self._free += freed
        return slots

    def _find(self, identities: IntArray) -> IntArray:
        slots = np.empty(len(identities), dtype=np.int64)
        find(identities, self._table, slots)
        return slots

    def _enter(self, names: Sequence[str], identities: IntArray) -> None:
        """Give each of the strangers a slot."""
        again = [self._free.pop() for _ in range(min(len(self._free), len(names)))]
        for slot, name in zip(again, names, strict=False):
            self._names[slot] = name
        slots = np.array([*again, *range(self.slots, self.slots + len(names) - len(again))], dtype=np.int64)
        self._names += names[len(again) :]
        self.text += sum(map(len, names))
        self._identities = grown(self._identities, self.slots)
        self._identities[slots] = identities
        if len(self._table) < _PLACES * len(self):
            self._table = _table(2 * _PLACES * len(self))
            enter(self._identities[: self.slots], np.arange(self.slots), self._table)
        else:
            enter(identities, slots, self._table)


def _table(places: int) -> IntArray:
    """An empty table of at least so many places."""
    table = grown(np.empty((0, 2), dtype=np.int64), 1 << (places - 1).bit_length())
    table[:, 0] = EMPTY
    return table
