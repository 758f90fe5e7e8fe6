"""Many requests of one shape, as columns; each becomes an ``Event`` only where somebody asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import TypeVar, overload

import numpy as np
import numpy.typing as npt

from detectors.batch import BoolArray, FloatArray, IntArray
from monitor.event import Event

_T = TypeVar("_T")
Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class EventBlock(Sequence[Event]):
    """Events of one row each, whose tensors have the same form; none has an embedding or tags.

    Attributes:
        ts: float64 ``(n,)``.
        x: ``(n, d)``, every row of ``shape``.
        scores: ``(n, k)``; None: no event has any. So with ``labels`` and ``values``, ``(n,)`` each.
        clients: ``Event.client`` of each.
        label_names: of each event, as ``Event`` has them; None: no event has any.
    """

    ids: list[str]
    ts: FloatArray
    models: list[str]
    versions: list[str]
    client_ids: list[str]
    client_ips: list[str]
    clients: list[str]
    x: Float32Array
    shape: tuple[int, ...]
    scores: Float32Array | None
    labels: IntArray | None
    label_names: list[tuple[str, ...] | None] | None
    values: Float32Array | None

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, i: int) -> Event: ...
    @overload
    def __getitem__(self, i: slice) -> list[Event]: ...
    def __getitem__(self, i: int | slice) -> Event | list[Event]:
        if isinstance(i, slice):
            return [self._event(j) for j in range(*i.indices(len(self)))]
        return self._event(range(len(self))[i])

    def __iter__(self) -> Iterator[Event]:
        return map(self._event, range(len(self)))

    def compress(self, keep: BoolArray) -> EventBlock:
        """Those marked in ``keep``."""

        def chosen(values: list[_T]) -> list[_T]:
            return list(compress(values, keep))

        return replace(
            self,
            ids=chosen(self.ids),
            ts=self.ts[keep],
            models=chosen(self.models),
            versions=chosen(self.versions),
            client_ids=chosen(self.client_ids),
            client_ips=chosen(self.client_ips),
            clients=chosen(self.clients),
            x=self.x[keep],
            scores=None if self.scores is None else self.scores[keep],
            labels=None if self.labels is None else self.labels[keep],
            label_names=None if self.label_names is None else chosen(self.label_names),
            values=None if self.values is None else self.values[keep],
        )

    def _event(self, i: int) -> Event:
        one = slice(i, i + 1)
        return Event(
            self.ids[i],
            float(self.ts[i]),
            self.models[i],
            self.x[one],
            self.shape,
            self.versions[i],
            self.client_ids[i],
            self.client_ips[i],
            None if self.scores is None else self.scores[one],
            None if self.labels is None else self.labels[one],
            None if self.label_names is None else self.label_names[i],
            None if self.values is None else self.values[one],
        )
