"""One row detector by itself, with clients of its own: for calibration, and for looking at what a detector does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from detectors.batch import EventBatch, FloatArray
from detectors.clients import Clients
from detectors.contract import RowDetector
from detectors.history import Entries
from detectors.rows import Rows


class Alone:
    """Takes batches where the detector takes ``Rows``."""

    def __init__(self, detector: RowDetector) -> None:
        self.detector = detector
        self._clients = Clients()

    def rows(self, batch: EventBatch) -> Rows:
        rows = self._clients.rows(batch)
        self.detector.memory.reserve(self._clients.slots)
        return rows

    def score(self, batch: EventBatch) -> FloatArray:
        return self.detector.score(self.rows(batch))

    def explain(self, batch: EventBatch, row: int) -> dict[str, Any]:
        return self.detector.explain(self.rows(batch), row)

    def learn(self, batch: EventBatch) -> None:
        self.detector.learn(self.rows(batch))

    def history(self, client: str) -> Entries:
        """What is remembered of a client, oldest first."""
        slot = int(self._clients.find([client])[0])
        return np.empty(0, self.detector.memory.dtype) if slot < 0 else self.detector.memory.entries(slot)

    def forget(self, clients: Iterable[str]) -> None:
        self.detector.memory.forget(self._clients.forget(clients))

    def snapshot(self) -> dict[str, tuple[bytes, bytes]]:
        """Histories by client; clients without one are absent."""
        memory, whole = self.detector.memory, np.ones(1, dtype=np.bool_)
        found = {client: np.array([slot]) for client, slot in zip(self._clients, self._clients.all(), strict=True)}
        return {client: memory.stored(slot, whole) for client, slot in found.items() if memory.counts(slot)[0]}

    def restore(self, state: dict[str, tuple[bytes, bytes]]) -> None:
        """Take back what ``snapshot`` gave."""
        slots = self._clients.open(list(state))
        self.detector.memory.reserve(self._clients.slots)
        for slot, stored in zip(slots, state.values(), strict=True):
            self.detector.memory.restore(np.array([slot]), stored, np.ones(1, dtype=np.bool_))
