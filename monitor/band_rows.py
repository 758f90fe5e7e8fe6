"""Rows of one partition that are to be compared across clients: which of them, and in what form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.band_entries import Entries, joined
from detectors.band_spread import PICTURE_ROW, row_kind
from detectors.batch import EventBatch
from detectors.fingerprints import Prints, ranks
from detectors.kernels.choices import choose
from detectors.records import joined as joined_records
from detectors.records import taken
from detectors.texts import Texts
from monitor.event import ANONYMOUS

#: Distinct rows of one client that are looked at in one window.
QUOTA: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class NewRows:
    """Rows as they came, in order (``row_kind``), clients, request ids."""

    rows: npt.NDArray[Any]
    clients: tuple[str, ...]
    events: tuple[str, ...]

    @classmethod
    def of(cls, batch: EventBatch, prints: Prints) -> NewRows:
        rows = np.zeros(len(batch), dtype=row_kind(prints.cells.shape[1]))
        rows["cells"], rows["digest"], rows["ts"], rows["z"] = prints.cells, prints.digests, batch.ts, prints.z
        rows["label"] = batch.labels & 0x7FFFFFFF
        if rows.dtype == PICTURE_ROW:
            rows["parts"] = prints.parts
        return cls(rows, batch.clients, batch.ids)


def gathered(pieces: Sequence[NewRows]) -> Entries:
    """Those of the rows that may be compared; what is saved need not hold more."""
    rows = joined_records([piece.rows for piece in pieces])
    clients = Texts.of([client for piece in pieces for client in piece.clients])
    events = [event for piece in pieces for event in piece.events]
    some, _ = _chosen(rows, clients)
    return Entries(taken(rows, some), clients.take(some), Texts.of([events[i] for i in some.tolist()]))


def compared(pieces: Sequence[Entries]) -> Entries:
    """The rows of all pieces (``gathered``) that are compared; there must be a piece."""
    found = joined(pieces)
    some, kept = _chosen(found.rows, found.clients)
    found = found.take(some)
    found.rows["kept"], found.rows["bands"] = kept, (1 << found.rows["cells"].shape[1]) - 1
    return found


def _chosen(rows: npt.NDArray[Any], clients: Texts) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Of each client the ``QUOTA`` distinct rows that a keyed hash ranks first: their indices, in order, and how many
    rows of its client there are ``(n,)`` each. Choosing among rows of which each part has been chosen gives what
    choosing among all gives."""
    who, kept = clients.identities(), np.zeros(len(rows), dtype=np.int64)
    nobody = int(Texts.of([ANONYMOUS]).identities()[0])
    order = np.argsort(who, kind="stable")
    choose(order, who, ranks(rows["digest"].astype(np.int64)), nobody, QUOTA, kept)
    chosen = np.flatnonzero(kept)
    return chosen, kept[chosen]
