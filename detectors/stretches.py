"""Where rows must be cut because a client comes back after so long that it begins anew."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

import numpy as np

from detectors.batch import FloatArray
from detectors.kernels.evidence import absences
from detectors.rows import Rows

#: Rows looked at together; a longer batch is cut.
_MOST_ROWS: Final = 4096


def stretches(
    rows: Rows, last_ts: FloatArray, ttl_s: float, diverted: Collection[int]
) -> Iterator[tuple[int, int, list[int]]]:
    """Cuts before rows of clients that were away longer than ``ttl_s``: begin, end, slots to clear before.

    ``last_ts``: newest event time by slot, -inf for strangers. Lazy: ``diverted`` (slots, not to be cleared) grows
    while stretches are looked at.
    """
    away = np.empty(len(rows), dtype=np.int8)
    absences(rows.order, rows.begins, rows.slots, rows.batch.ts, last_ts, ttl_s, away)
    begin = 0
    returning: list[int] = []
    for row in np.flatnonzero(away).tolist():
        while row - begin >= _MOST_ROWS:
            yield begin, begin + _MOST_ROWS, returning
            begin, returning = begin + _MOST_ROWS, []
        if away[row] == 2:
            yield begin, row, returning
            begin, returning = row, []
        slot = int(rows.slots[row])
        if slot not in diverted:
            returning.append(slot)
    while begin < len(rows):
        end = min(begin + _MOST_ROWS, len(rows))
        yield begin, end, returning
        begin, returning = end, []
