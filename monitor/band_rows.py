"""Rows of one partition that are to be compared across clients: which of them, and in what form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.band_entries import EMPTY, Entries, joined, objects
from detectors.batch import IntArray
from detectors.fingerprints import BANDS, DIMS, ranks
from detectors.names import Names
from detectors.run_ranks import run_ranks
from monitor.event import ANONYMOUS

#: Distinct rows of one client that are looked at in one window.
QUOTA: Final = 4


class BandRows(msgspec.Struct, array_like=True):
    """Some rows in the order they came in: ``z``, cells, digests, times, labels as bytes; clients; request ids."""

    columns: tuple[bytes, bytes, bytes, bytes, bytes]
    clients: tuple[str, ...]
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Chosen:
    """Of some rows those that may be compared, in the order in which they came.

    Attributes:
        index: of each, ``(n,)``. who: number of its client. kept: rows of its client that may be compared.
        names: the clients, by number. clients, events: of all rows.
    """

    index: IntArray
    who: npt.NDArray[np.int32]
    kept: npt.NDArray[np.int32]
    names: tuple[str, ...]
    clients: list[str]
    events: list[str]


def _column(pieces: Sequence[BandRows], which: int, kind: str, *shape: int) -> npt.NDArray[Any]:
    return np.frombuffer(b"".join(p.columns[which] for p in pieces), kind).reshape(-1, *shape)


def _chosen(pieces: Sequence[BandRows]) -> _Chosen:
    """Of each client the ``QUOTA`` distinct rows that a keyed hash ranks first. Choosing among rows of which each part
    has been chosen gives what choosing among all gives."""
    clients = [client for piece in pieces for client in piece.clients]
    events = [event for piece in pieces for event in piece.events]
    names = Names()
    who = names.places(clients)
    digests = _column(pieces, 2, "<i8").astype(np.int64)
    order = np.lexsort((digests, who))
    first = run_ranks(who[order], digests[order]) == 0
    distinct = order[first & (who[order] != names.number(ANONYMOUS))]
    distinct = distinct[np.lexsort((ranks(digests[distinct]), who[distinct]))]
    some = np.sort(distinct[run_ranks(who[distinct]) < QUOTA])
    kept = np.bincount(who[some])[who[some]].astype(np.int32)
    return _Chosen(some, who[some], kept, tuple(names.clients), clients, events)


def thinned(pieces: Sequence[BandRows]) -> BandRows:
    """The rows that may be compared, as one piece: what is saved need not hold more."""
    chosen = _chosen(pieces)
    index = chosen.index.tolist()
    return BandRows(
        (
            _column(pieces, 0, "<i2", DIMS)[chosen.index].tobytes(),
            _column(pieces, 1, "<i8", BANDS)[chosen.index].tobytes(),
            _column(pieces, 2, "<i8")[chosen.index].tobytes(),
            _column(pieces, 3, "<f8")[chosen.index].tobytes(),
            _column(pieces, 4, "<i8")[chosen.index].tobytes(),
        ),
        tuple(chosen.clients[i] for i in index),
        tuple(chosen.events[i] for i in index),
    )


def compared(pieces: Sequence[BandRows]) -> Entries:
    """The rows that are compared, once for each band."""
    chosen = _chosen(pieces)
    some = chosen.index
    if not len(some):
        return EMPTY
    cells = _column(pieces, 1, "<i8", BANDS)[some].astype(np.int64)
    one = Entries(
        cells[:, 0],
        _column(pieces, 0, "<i2", DIMS)[some].astype(np.int16),
        _column(pieces, 2, "<i8")[some].astype(np.int64),
        _column(pieces, 3, "<f8")[some].astype(np.float64),
        (_column(pieces, 4, "<i8")[some] & 0x7FFFFFFF).astype(np.int32),
        chosen.kept,
        chosen.who,
        chosen.names,
        objects([chosen.events[i] for i in some.tolist()]),
    )
    return joined([replace(one, cells=cells[:, band]) for band in range(BANDS)])
