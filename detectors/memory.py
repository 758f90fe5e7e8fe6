"""What a row detector remembers of each client: the last few entries, kept as one small array per client."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


class ClientMemory:
    """Base of detectors with history: at most ``length`` entries of ``dtype`` per client, oldest first.

    Gives a ``RowDetector`` its ``snapshot``, ``restore`` and ``forget``. (Arrays of ``Any``: entries may be records.)
    """

    def __init__(self, dtype: npt.DTypeLike, length: int) -> None:
        self._dtype = np.dtype(dtype)
        self._length = length
        self._entries: dict[str, npt.NDArray[Any]] = {}

    def history(self, client: str) -> npt.NDArray[Any]:
        """The client's entries; empty if it has none."""
        entries = self._entries.get(client)
        return np.empty(0, self._dtype) if entries is None else entries

    def remember(self, client: str, entries: npt.NDArray[Any]) -> None:
        """Add entries; the oldest beyond ``length`` are dropped."""
        if len(entries):
            self._entries[client] = np.concatenate([self.history(client), entries])[-self._length :].copy()

    def snapshot(self, clients: Iterable[str] | None = None) -> dict[str, bytes]:
        wanted = self._entries if clients is None else clients
        return {c: self._entries[c].tobytes() for c in wanted if c in self._entries}

    def restore(self, state: Mapping[str, bytes]) -> None:
        for client, blob in state.items():
            self._entries[client] = np.frombuffer(blob, self._dtype)

    def forget(self, clients: Iterable[str]) -> None:
        for client in clients:
            self._entries.pop(client, None)
