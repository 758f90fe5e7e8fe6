"""What was seen lately, by event time. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.batch import BoolArray, FloatArray
from detectors.kernels.sightings import NEVER, note
from monitor.sorted_runs import Keys

_LEAST_PLACES: Final = 16


class Recent:
    """Remembers keys for ``span_s`` of event time after they were last seen, at most twice as long.

    There are never more than twice ``limit``, and one call's: before there would be, those that are too old are
    forgotten, or all, if more than ``limit`` are not.
    """

    def __init__(self, span_s: float, limit: int) -> None:
        self._span_s = span_s
        self._limit = limit
        self._newest_ts = float("-inf")
        self._clear(_LEAST_PLACES)

    def __len__(self) -> int:
        return self._n

    def unseen(self, keys: Keys, ts: float) -> BoolArray:
        """Which of the keys are not remembered at event time ``ts``, or the newest before; from now on all are, so of
        one that comes twice only the first is not.

        ``keys``: hashes, ``(n,)``.
        """
        ts = self._newest_ts = max(ts, self._newest_ts)
        most = self._n + len(keys)
        if most > 2 * self._limit or 3 * most > 2 * len(self._keys):
            self._renew(len(keys))
        return self._note(keys, np.full(len(keys), ts)) >= 2.0 * self._span_s

    def _note(self, keys: Keys, times: FloatArray) -> FloatArray:
        away_s = np.empty(len(keys))
        self._n += note(keys, times, self._span_s, self._keys, self._times, away_s)
        return away_s

    def _renew(self, more: int) -> None:
        """A table with room for more, without keys that are too old, or too many."""
        young = self._times > self._newest_ts - 2.0 * self._span_s
        if np.count_nonzero(young) > self._limit:
            young[:] = False
        keys, times = self._keys[young], self._times[young]
        self._clear(3 * (len(keys) + more))
        self._note(keys, times)

    def _clear(self, places: int) -> None:
        size = 1 << (places - 1).bit_length()
        self._keys, self._times, self._n = np.empty(size, dtype=np.uint64), np.full(size, NEVER), 0
