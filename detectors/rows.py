"""Rows as detectors get them: a batch, its clients' slots, and measures that several detectors share."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from detectors.batch import BoolArray, EventBatch, IntArray
from detectors.run_ranks import runs

_T = TypeVar("_T")

Inputs = npt.NDArray[np.float32]

#: One measure or record of measures per row, ``(k, ...)``.
Measures = npt.NDArray[Any]


class Rows:
    """A batch and the slot of each row's client, int64 ``(n,)``.

    Attributes:
        order: row indices by client, each client's in arrival order; ``begins``: where each client's begin in it, and
            behind them n; ``clients``: slot of each, ascending.
    """

    __slots__ = ("_noted", "_shared", "batch", "begins", "clients", "order", "slots")

    def __init__(self, batch: EventBatch, slots: IntArray) -> None:
        self.batch = batch
        self.slots = slots
        self.order = np.argsort(slots, kind="stable").astype(np.int64)
        by_client = slots[self.order]
        self.begins = np.append(runs(by_client)[0], len(slots))
        self.clients = by_client[self.begins[:-1]]
        self._shared: dict[Hashable, tuple[BoolArray, Measures]] = {}
        self._noted: dict[Hashable, Any] = {}

    def __len__(self) -> int:
        return len(self.slots)

    def take(self, rows: IntArray | BoolArray) -> Rows:
        """The given rows (indices or mask), in the given order, with what was measured of them."""
        index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        taken = Rows(self.batch.take(index), self.slots[index])
        taken._shared = {key: (known[index], values[index]) for key, (known, values) in self._shared.items()}
        return taken

    def by_client(self, of: BoolArray | None = None) -> IntArray:
        """``order``, or of it the rows of the clients of a mask, ``(k,)``."""
        return self.order if of is None else self.order[np.repeat(of, np.diff(self.begins))]

    def up_to(self, row: int) -> Rows:
        """The rows of the client of ``row``, up to and with it; these ones themselves if they are that."""
        mine = np.flatnonzero(self.slots[: row + 1] == self.slots[row])
        return self if len(mine) == len(self) else self.take(mine)

    def measured(self, key: Hashable, wanted: IntArray, measure: Callable[[Inputs], Measures]) -> Measures:
        """Measures of the wanted rows (indices, ascending), not to be written to; each row is measured once for all
        who ask under the same key.

        ``measure`` gives ``(k, ...)`` for inputs ``(k, d)``, each row's whatever the others are.
        """
        if key not in self._shared:
            if len(wanted) == len(self):
                self._shared[key] = (np.ones(len(self), dtype=np.bool_), measure(self.batch.x))
                return self._shared[key][1]
            some = measure(self.batch.x[wanted])
            values = np.zeros((len(self), *some.shape[1:]), dtype=some.dtype)
            known = np.zeros(len(self), dtype=np.bool_)
            known[wanted], values[wanted] = True, some
            self._shared[key] = (known, values)
            return some
        known, values = self._shared[key]
        missing = wanted[~known[wanted]]
        if len(missing):
            values[missing] = measure(self.batch.x[missing])
            known[missing] = True
        return values if len(wanted) == len(self) else values[wanted]

    def noted(self, key: Hashable, work_out: Callable[[], _T]) -> _T:
        """What all rows together gave under ``key``, worked out once; ``take`` drops it.

        What depends on what is remembered of their clients must be dropped by ``forget_noted`` when that changes.
        """
        if key not in self._noted:
            self._noted[key] = work_out()
        known: _T = self._noted[key]
        return known

    def forget_noted(self, key: Hashable) -> None:
        """What it depended on has changed."""
        self._noted.pop(key, None)
