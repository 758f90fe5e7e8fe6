"""What was seen lately, by event time. Pure."""

from __future__ import annotations

import numpy as np

from detectors.batch import BoolArray
from monitor.sorted_runs import Keys, SortedRuns


class Recent:
    """Remembers keys for ``span_s`` of event time after they were last seen, at most twice as long.

    There are never more than twice ``limit``, and one call's: before there would be, all are forgotten.
    """

    def __init__(self, span_s: float, limit: int) -> None:
        self._span_s = span_s
        self._limit = limit
        self._seen = SortedRuns()
        self._newest_ts = float("-inf")

    def __len__(self) -> int:
        return len(self._seen)

    def unseen(self, keys: Keys, ts: float) -> BoolArray:
        """Which of the keys are not remembered at event time ``ts``, or the newest before; from now on all are.

        ``keys``: ascending, each once.
        """
        ts = self._newest_ts = max(ts, self._newest_ts)
        away_s = ts - self._seen.newest(keys)
        # What keeps coming is noted once a span only.
        due = keys[away_s >= self._span_s]
        if len(self._seen) + len(due) > 2 * self._limit:
            self._seen, due = SortedRuns(), keys
        self._seen.add(due, np.full(len(due), ts), ts - 2.0 * self._span_s)
        return np.asarray(away_s >= 2.0 * self._span_s)
