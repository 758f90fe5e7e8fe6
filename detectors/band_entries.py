"""Rows of one model and one band as they are compared across clients: columns, their bytes, and who meets whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import zstandard

from detectors.kernels.links import among, link
from detectors.names import Names
from detectors.run_ranks import run_ranks

#: Earlier rows of its cell that a row is compared with, and how many of them may be of one client.
BACK: Final = 64
PER_CLIENT: Final = 4
#: Links of one row.
_MOST_LINKS: Final = 4
_LEVEL: Final = 1
_MOST_BYTES: Final = 1 << 28


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


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """Columns of ``n`` rows.

    Attributes:
        cells, digests: int64 ``(n,)``. z: int16 ``(n, 12)``. ts: float64 ``(n,)``. labels: int32 ``(n,)``.
        kept: distinct rows of its client that were looked at in the slot, int32 ``(n,)``.
        who: index into ``clients``, int32 ``(n,)``; ``clients`` may have more. events: request ids, objects ``(n,)``.
    """

    cells: npt.NDArray[np.int64]
    z: npt.NDArray[np.int16]
    digests: npt.NDArray[np.int64]
    ts: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int32]
    kept: npt.NDArray[np.int32]
    who: npt.NDArray[np.int32]
    clients: Sequence[str]
    events: npt.NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.cells)

    def take(self, rows: npt.NDArray[Any]) -> Entries:
        """The given rows (indices or mask), in the given order."""
        return Entries(
            self.cells[rows],
            self.z[rows],
            self.digests[rows],
            self.ts[rows],
            self.labels[rows],
            self.kept[rows],
            self.who[rows],
            self.clients,
            self.events[rows],
        )

    def of(self, names: Names) -> Entries:
        """The same rows with those names as ``clients``."""
        if self.clients is names.clients:
            return self
        index = names.places(self.clients)
        return replace(self, who=index[self.who] if len(self) else self.who, clients=names.clients)

    def compact(self) -> Entries:
        """The same rows; ``clients`` has those that are there only, in alphabetical order."""
        used, who = np.unique(self.who, return_inverse=True)
        names = [self.clients[i] for i in used.tolist()]
        order = np.array(sorted(range(len(names)), key=names.__getitem__), dtype=np.int64)
        place = np.empty(len(names), dtype=np.int32)
        place[order] = np.arange(len(names))
        return replace(self, who=place[who], clients=tuple(names[i] for i in order.tolist()))


def objects(texts: Sequence[str]) -> npt.NDArray[np.object_]:
    """Texts as an array of objects, ``(n,)``."""
    out = np.empty(len(texts), dtype=object)
    out[:] = texts
    return out


def joined(parts: Sequence[Entries]) -> Entries:
    """All rows, one part after the other."""
    if any(part.clients is not parts[0].clients for part in parts):
        names = Names()
        parts = [part.of(names) for part in parts]
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("cells", "z", "digests", "ts", "labels", "kept", "who", "events")
    }
    return Entries(**columns, clients=parts[0].clients)


def in_order(entries: Entries) -> Entries:
    """By cell, then time, request id, client and bytes: an order that has nothing to do with how the rows came here."""
    order = np.lexsort((entries.ts, entries.cells))
    cells, ts = entries.cells[order], entries.ts[order]
    alike = np.append(False, (cells[1:] == cells[:-1]) & (ts[1:] == ts[:-1]))
    begins = np.flatnonzero(~alike)
    sizes = np.diff(np.append(begins, len(order)))

    def texts(i: int) -> tuple[str, str, int]:
        return entries.events[i], entries.clients[entries.who[i]], int(entries.digests[i])

    for begin, size in zip(begins[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
        order[begin : begin + size] = sorted(order[begin : begin + size].tolist(), key=texts)
    return entries.take(order)


def meet(new: Entries, memory: Entries, reach: tuple[int, int], unit: float) -> tuple[list[Link], Entries]:
    """Who of the new rows (``in_order``) links to whom, and those of them that are no copies and may be remembered.

    ``reach``: whole units below which rows are near, and below which those whose labels differ are; ``unit``: of them.
    """
    if not len(new):
        return [], new
    old = memory.take(_among(memory.cells, new.cells))
    both = joined([old, new])
    order = np.argsort(both.cells, kind="stable")
    fresh = order >= len(old)
    silent = np.zeros(len(both), dtype=np.bool_)
    pairs, squares = np.empty((len(new) * _MOST_LINKS, 2), np.int64), np.empty(len(new) * _MOST_LINKS, np.int64)
    columns = (both.cells[order], both.z[order], both.digests[order], both.who[order], both.labels[order])
    n = link(*columns, fresh, *reach, BACK, _MOST_LINKS, silent, pairs, squares)
    links = [
        _link(both, int(order[later]), int(order[earlier]), float(square) ** 0.5 * unit)
        for (later, earlier), square in zip(pairs[:n].tolist(), squares[:n].tolist(), strict=True)
    ]
    return links, both.take(np.sort(order[fresh & ~silent]))


def remember(memory: Entries, new: Entries) -> Entries:
    """The memory with new rows behind its own.

    Each cell's latest ``BACK`` rows are kept, of one client no more than ``PER_CLIENT``: whoever floods a cell pushes
    out its own rows first. Only newer rows push a row out, so what is left is the same if rows that have expired were
    never there.
    """
    both = joined([memory, new])
    some = np.flatnonzero(_among(both.cells, new.cells))
    latest = _latest(both.take(some))
    if latest.all():
        return both
    keep = np.ones(len(both), dtype=np.bool_)
    keep[some[~latest]] = False
    return both.take(keep)


def _among(cells: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which cells are one of those wanted, ``(n,)``."""
    out = np.zeros(len(cells), dtype=np.bool_)
    among(cells, wanted, np.full(1 << (2 * len(wanted)).bit_length(), -1, dtype=np.int64), out)
    return out


def _link(rows: Entries, i: int, j: int, distance: float) -> Link:
    return Link(
        rows.clients[rows.who[i]],
        rows.events[i],
        float(rows.ts[i]),
        int(rows.kept[i]),
        rows.clients[rows.who[j]],
        rows.events[j],
        float(rows.ts[j]),
        int(rows.kept[j]),
        float(f"{distance:.6g}"),
        bool(rows.labels[i] != rows.labels[j]),
    )


def _latest(rows: Entries) -> npt.NDArray[np.bool_]:
    """Of each client in a cell the latest few, and of those the latest in the cell; rows are in order."""
    keep = np.zeros(len(rows), dtype=np.bool_)
    backwards = np.arange(len(rows))[::-1]
    mine = backwards[np.lexsort((rows.who[backwards], rows.cells[backwards]))]
    few = mine[run_ranks(rows.cells[mine], rows.who[mine]) < PER_CLIENT]
    few = np.sort(few)[::-1]
    few = few[np.argsort(rows.cells[few], kind="stable")]
    keep[few[run_ranks(rows.cells[few]) < BACK]] = True
    return keep


_COLUMNS: Final = (("cells", "<i8"), ("z", "<i2"), ("digests", "<i8"), ("ts", "<f8"), ("labels", "<i4"))
_MORE: Final = (("kept", "<i4"), ("who", "<i4"))


class _Stored(msgspec.Struct, array_like=True):
    columns: list[bytes]
    clients: tuple[str, ...]
    events: list[str]


def encode(entries: Entries) -> bytes:
    """The rows as bytes; equal rows in the same order give the same."""
    entries = entries.compact()
    columns = [getattr(entries, name).astype(kind).tobytes() for name, kind in (*_COLUMNS, *_MORE)]
    raw = msgspec.msgpack.encode(_Stored(columns, tuple(entries.clients), entries.events.tolist()))
    return zstandard.ZstdCompressor(level=_LEVEL).compress(raw)


def decode(blob: bytes) -> Entries:
    """Raises ValueError for bytes that ``encode`` did not make."""
    try:
        raw = zstandard.ZstdDecompressor().decompress(blob, max_output_size=_MOST_BYTES)
        stored = msgspec.msgpack.decode(raw, type=_Stored)
        columns: dict[str, Any] = {
            name: np.frombuffer(column, kind).astype(np.dtype(kind).newbyteorder("="))
            for (name, kind), column in zip((*_COLUMNS, *_MORE), stored.columns, strict=True)
        }
        columns["z"] = columns["z"].reshape(-1, 12)
    except (zstandard.ZstdError, msgspec.DecodeError, ValueError) as error:
        raise ValueError(f"no band entries: {error}") from error
    n = len(stored.events)
    who = columns["who"]
    if any(len(c) != n for c in columns.values()) or (n and not 0 <= who.min() <= who.max() < len(stored.clients)):
        raise ValueError("no band entries: columns do not fit together")
    return Entries(**columns, clients=stored.clients, events=objects(stored.events))


EMPTY: Final = Entries(
    np.empty(0, np.int64),
    np.empty((0, 12), np.int16),
    np.empty(0, np.int64),
    np.empty(0),
    np.empty(0, np.int32),
    np.empty(0, np.int32),
    np.empty(0, np.int32),
    (),
    np.empty(0, object),
)
