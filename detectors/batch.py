"""Columnar batches of events: the one shape in which detectors see traffic."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.kernels.rounding import to_digits

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_POWERS_OF_TEN: Final = np.array([float(f"1e{n}") for n in range(309)])

#: Label column value where the event carried neither a label nor scores.
NO_LABEL: Final = -1


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class EventBatch:
    """Rows of one model in arrival order; a request that carries several rows contributes several.

    All columns have length ``n``. Arrays must not be written to: batches are shared between detectors.

    Attributes:
        model: model name.
        ids: request id of each row.
        ts: event time of each row, seconds since the epoch, shape ``(n,)``.
        clients: client key of each row, ``client:ID``, ``ip:ADDRESS`` or ``client:anonymous``.
        x: model inputs, float32, shape ``(n, d)``, row-major; NaN is a missing value.
        shape: shape of one row, product ``d``.
        labels: served label, int64 ``(n,)``; string labels are a stable 62-bit hash; ``NO_LABEL`` if none.
        scores: class probabilities, float32 ``(n, k)``, or None if the rows carry none.
        request: index of the request within the step each row belongs to, int64 ``(n,)``.
        versions: model version that answered, per row ("" if unknown).
        ips: address per row ("" if unknown).
        salt: of clean traffic, up to 64 bytes: what random choices of detectors depend on besides the rows.
    """

    model: str
    ids: tuple[str, ...]
    ts: FloatArray
    clients: tuple[str, ...]
    x: npt.NDArray[np.float32]
    shape: tuple[int, ...]
    labels: IntArray
    scores: npt.NDArray[np.float32] | None
    request: IntArray
    versions: tuple[str, ...]
    ips: tuple[str, ...]
    salt: bytes = b""

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: IntArray | BoolArray) -> EventBatch:
        """The given rows (indices or mask), in the given order; all of them in their order are the batch itself."""
        index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        if len(index) == len(self) and np.array_equal(index, np.arange(len(self))):
            return self
        picked = index.tolist()
        return replace(
            self,
            ids=tuple(map(self.ids.__getitem__, picked)),
            ts=self.ts[index],
            clients=tuple(map(self.clients.__getitem__, picked)),
            x=self.x[index],
            labels=self.labels[index],
            scores=None if self.scores is None else self.scores[index],
            request=self.request[index],
            versions=tuple(map(self.versions.__getitem__, picked)),
            ips=tuple(map(self.ips.__getitem__, picked)),
        )

    def by_client(self) -> dict[str, IntArray]:
        """Row indices of each client, in arrival order; clients in order of first appearance."""
        rows: dict[str, list[int]] = {}
        for i, client in enumerate(self.clients):
            rows.setdefault(client, []).append(i)
        return {client: np.asarray(index, dtype=np.int64) for client, index in rows.items()}


def concat(batches: list[EventBatch]) -> EventBatch:
    """One batch of all rows, in order; of one batch itself. Raises ValueError if models, row shapes or score widths
    differ."""
    first = batches[0]
    if len(batches) == 1:
        return first
    for b in batches:
        if b.model != first.model or b.shape != first.shape or (b.scores is None) != (first.scores is None):
            raise ValueError(f"cannot join batches of {first.model}{first.shape} and {b.model}{b.shape}")
    offsets = np.cumsum([0] + [int(b.request.max(initial=-1)) + 1 for b in batches[:-1]])
    return EventBatch(
        model=first.model,
        ids=tuple(chain.from_iterable(b.ids for b in batches)),
        ts=np.concatenate([b.ts for b in batches]),
        clients=tuple(chain.from_iterable(b.clients for b in batches)),
        x=np.concatenate([b.x for b in batches]),
        shape=first.shape,
        labels=np.concatenate([b.labels for b in batches]),
        scores=None if first.scores is None else np.concatenate([b.scores for b in batches if b.scores is not None]),
        request=np.concatenate([b.request + o for b, o in zip(batches, offsets, strict=True)]),
        versions=tuple(chain.from_iterable(b.versions for b in batches)),
        ips=tuple(chain.from_iterable(b.ips for b in batches)),
        salt=first.salt,
    )


def round_sig(values: FloatArray, digits: int = 6) -> FloatArray:
    """Round to significant digits, so that the order or size of vector operations cannot show in a figure.

    Multiplies and divides by whole powers of ten only, taken from a table: those are exact up to 1e22 and the same with
    every version of NumPy, so the result is the float nearest to the rounded decimal.
    """
    out = np.array(values, dtype=np.float64, order="C")
    to_digits(out.reshape(-1), digits, _POWERS_OF_TEN)
    return out
