"""Rows as they are compared across clients, with whose they are: columns, and their bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.batch import IntArray
from detectors.fingerprints import DIMS
from detectors.packing import pack, unpack
from detectors.records import joined as joined_records
from detectors.records import taken
from detectors.run_ranks import runs
from detectors.texts import Packed, Texts
from detectors.texts import joined as joined_texts

#: A row in one band: its cell, keyed hash of its bytes, event time, label, distinct rows of its client that were
#: looked at in the slot, and its projection; in the band of parts, those.
ENTRY: Final = np.dtype(
    [("cell", "<i8"), ("digest", "<i8"), ("ts", "<f8"), ("label", "<i4"), ("kept", "<i4"), ("z", "<i2", (DIMS,))]
)


class Link(msgspec.Struct, array_like=True, frozen=True):
    """A row, and an earlier one of another client that is near and no copy.

    ``client``, ``event``, ``ts`` and ``kept`` (distinct rows of the client that were looked at in its slot) of the
    later row and of the earlier; distance, root mean square difference in standard units; ``differs``: other labels.
    """

    client: str
    event: str
    ts: float
    kept: int
    earlier_client: str
    earlier_event: str
    earlier_ts: float
    earlier_kept: int
    distance: float
    differs: bool


class PackedEntries(msgspec.Struct, array_like=True):
    """Entries as they are stored: a column of each field, which compresses better than row by row."""

    rows: list[bytes]
    clients: Packed
    events: Packed


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """Attributes:
    rows: structured, ``(n,)``, such as ``ENTRY``. clients: whose they are. events: request ids.
    """

    rows: npt.NDArray[Any]
    clients: Texts
    events: Texts

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: npt.NDArray[Any]) -> Entries:
        """The given rows (indices or mask), in the given order."""
        return Entries(taken(self.rows, rows), self.clients.take(rows), self.events.take(rows))

    def packed(self) -> PackedEntries:
        columns = [self.rows[name].tobytes() for name in self.rows.dtype.names or ()]
        return PackedEntries(columns, self.clients.packed(), self.events.packed())

    @classmethod
    def unpack(cls, packed: PackedEntries, kind: np.dtype[Any]) -> Entries:
        """Raises ValueError for what ``packed`` did not give."""
        clients, events = Texts.unpack(packed.clients), Texts.unpack(packed.events)
        rows = np.empty(len(clients), dtype=kind)
        for name, column in zip(kind.names or (), packed.rows, strict=True):
            rows[name] = np.frombuffer(column, kind[name].base).reshape(len(rows), *kind[name].shape)
        if len(events) != len(rows):
            raise ValueError("columns do not fit together")
        return cls(rows, clients, events)


def joined(parts: Sequence[Entries]) -> Entries:
    """All rows, one part after the other; there must be one."""
    return Entries(
        joined_records([part.rows for part in parts]),
        joined_texts([part.clients for part in parts]),
        joined_texts([part.events for part in parts]),
    )


def ordered(rows: npt.NDArray[Any], of: IntArray, clients: Texts, events: Texts) -> IntArray:
    """Indices of entries (``ENTRY``) by cell, then time, request id, client and bytes: an order that has nothing to do
    with how they came here. ``of``: which of the texts are theirs."""
    order: IntArray = np.lexsort((rows["ts"], rows["cell"]))
    begins, sizes = runs(rows["cell"][order], rows["ts"][order])

    def texts(i: int) -> tuple[str, str, int]:
        return events[of[i]], clients[of[i]], int(rows["digest"][i])

    for begin, size in zip(begins[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
        order[begin : begin + size] = sorted(order[begin : begin + size].tolist(), key=texts)
    return order


def encode(entries: Entries) -> bytes:
    """The rows as bytes; equal rows in the same order give the same."""
    return pack(entries.packed())


def decode(blob: bytes, kind: np.dtype[Any]) -> Entries:
    """Raises ValueError for bytes that ``encode`` did not make of rows of this kind."""
    try:
        return Entries.unpack(unpack(blob, PackedEntries), kind)
    except ValueError as error:
        raise ValueError(f"no band entries: {error}") from error
