"""Everything a panel remembers of its clients, and how many clients at a time are stored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from typing import Final

import msgspec
import numpy as np

from detectors.batch import BoolArray, EventBatch, IntArray
from detectors.clients import Clients
from detectors.dossiers import Dossiers, DossierTable
from detectors.history import History
from detectors.packing import pack, unpack
from detectors.rows import Rows

_FORMAT: Final = 5
#: Bytes of a client next to its arrays: key, slot, and their places in the tables of keys.
_CLIENT_BYTES: Final = 230
#: When clients take too much memory, so much of what they may take is kept.
_KEPT: Final = 0.95
#: Bytes of a client in the tables of a memory.
_OWNED_BYTES: Final = 18


class _Stored(msgspec.Struct, array_like=True):
    """Clients' stored state: who was forgotten before, whose it is, whether it is the whole of it or what came since it
    was stored before (a byte each), dossiers (``Dossiers``, packed), and histories by detector name.
    """

    format: int
    gone: list[str]
    clients: list[str]
    whole: bytes
    dossiers: bytes
    memories: dict[str, tuple[bytes, bytes]]


class PanelState:
    """Clients, their dossiers, and the memories of the detectors, by name; of those that share one, the first's."""

    def __init__(self, detectors: Sequence[str], memories: Mapping[str, History], miss: IntArray) -> None:
        """``miss``: what a miss adds to a client's evidence, ``(d, l, g)``."""
        self.clients = Clients()
        self.dossiers = DossierTable(list(detectors), miss)
        self._memories = dict(memories)
        #: No client's newest event is older.
        self._oldest_ts = math.inf

    def rows(self, batch: EventBatch) -> Rows:
        """The batch with its clients' slots; strangers are let in."""
        rows = self.clients.rows(batch)
        self._oldest_ts = min(self._oldest_ts, float(batch.ts.min(initial=np.inf)))
        self._reserve()
        return rows

    def clear(self, slots: IntArray) -> None:
        """Forget what is known of clients, but not that they are clients."""
        self.dossiers.clear(slots)
        for memory in self._memories.values():
            memory.forget(slots)

    def forget(self, clients: Iterable[str]) -> IntArray:
        """Slots of those who were known; they are free now."""
        slots = self.clients.forget(clients)
        self.clear(slots)
        return slots

    def surplus(self, before_ts: float, most: int, most_bytes: float) -> list[str]:
        """Clients without an event since ``before_ts``; then those away longest, as long as there are more than
        ``most`` or they take more than ``most_bytes``.
        """
        full = self.total_nbytes() > most_bytes
        if self._oldest_ts >= before_ts and len(self.clients) <= most and not full:
            return []
        slots = self.clients.all()
        ts = self.dossiers.last_ts[slots]
        self._oldest_ts = float(ts[ts >= before_ts].min(initial=np.inf))
        idle, slots = slots[ts < before_ts], slots[ts >= before_ts]
        ts = ts[ts >= before_ts]
        excess = max(len(slots) - most, 0)
        if full:
            # Some more than must be, so that this is not to be done again soon.
            order = np.argsort(ts, kind="stable")
            with_later = np.cumsum(self.nbytes(slots[order])[::-1])[::-1]
            excess = max(excess, int(np.count_nonzero(with_later > _KEPT * most_bytes)))
        if not excess:
            return self.clients.names(idle)
        away = ts <= np.partition(ts, excess - 1)[excess - 1]
        longest = sorted(zip(ts[away].tolist(), self.clients.names(slots[away]), strict=True))[:excess]
        return self.clients.names(idle) + [client for _, client in longest]

    def shrink(self) -> None:
        """Give memory back that forgotten clients have left."""
        self.dossiers.held.pack()
        for memory in self._memories.values():
            memory.pack()

    def nbytes(self, slots: IntArray) -> IntArray:
        """Memory that clients take, about, ``(k,)``."""
        names = np.array([len(name) for name in self.clients.names(slots)], dtype=np.int64)
        sizes = names + self._fixed_bytes() + self.dossiers.nbytes(slots)
        for memory in self._memories.values():
            sizes += memory.nbytes(slots)
        return sizes

    def total_nbytes(self) -> int:
        """Memory that all clients take, about."""
        clients = len(self.clients)
        histories = sum(memory.total_nbytes() for memory in self._memories.values())
        return histories + self.clients.text + self.dossiers.total_nbytes(clients) + self._fixed_bytes() * clients

    def stored_bytes(self, slots: IntArray) -> tuple[IntArray, IntArray]:
        """Bytes that ``stored`` needs for each client, about: as a whole, and for what came since ``saved``."""
        clients = len(self.clients)
        whole = np.full(len(slots), self.dossiers.stored_bytes(clients) + self.clients.text // max(clients, 1))
        more = whole.copy()
        for memory in self._memories.values():
            whole += memory.counts(slots) * memory.dtype.itemsize + 2
            more += memory.unsaved(slots) * memory.dtype.itemsize + 2
        return whole, more

    def stored(self, slots: IntArray, whole: BoolArray, gone: Sequence[str]) -> bytes:
        """State of clients, of those who are not ``whole`` only what came since ``saved``; and who is gone."""
        memories = {name: memory.stored(slots, whole) for name, memory in self._memories.items()}
        names, dossiers = self.clients.names(slots), pack(self.dossiers.stored(slots))
        return msgspec.msgpack.encode(_Stored(_FORMAT, list(gone), names, whole.tobytes(), dossiers, memories))

    def saved(self, slots: IntArray) -> None:
        """What ``stored`` gave of these clients is safe."""
        for memory in self._memories.values():
            memory.saved(slots)

    def restore(self, blob: bytes) -> tuple[IntArray, IntArray, BoolArray]:
        """Take back what ``stored`` gave, in the order in which it was given. What came since something that is not
        there any more is left aside.

        Returns slots of those who are forgotten by it, slots of those who were taken in, and whether as a whole.
        Raises ValueError for state of another format.
        """
        stored = msgspec.msgpack.decode(blob, type=_Stored)
        if stored.format != _FORMAT:
            raise ValueError(f"stored state has format {stored.format}, this version needs {_FORMAT}")
        gone = self.forget(stored.gone)
        whole = np.frombuffer(stored.whole, dtype=np.bool_)
        slots = self.clients.find(stored.clients)
        known = slots >= 0
        self.clear(slots[whole & known])
        self.dossiers.clear(slots[~whole & known])
        strangers = whole & ~known
        slots[strangers] = self.clients.open(list(compress(stored.clients, strangers.tolist())))
        self._reserve()
        wanted = whole | known
        slots, whole = slots[wanted], whole[wanted]
        self.dossiers.restore(slots, unpack(stored.dossiers, Dossiers), wanted)
        self._oldest_ts = min(self._oldest_ts, float(self.dossiers.last_ts[slots].min(initial=np.inf)))
        for name, memory in self._memories.items():
            if name in stored.memories:
                memory.restore(slots, stored.memories[name], wanted)
        return gone, slots, whole

    def _fixed_bytes(self) -> int:
        return _CLIENT_BYTES + _OWNED_BYTES * len(self._memories)

    def _reserve(self) -> None:
        self.dossiers.reserve(self.clients.slots)
        for memory in self._memories.values():
            memory.reserve(self.clients.slots)
