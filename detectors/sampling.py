"""A fair sample of clean traffic: every client gets its turn before any has a second one."""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.batch import EventBatch, IntArray

#: Numbers (rows x features) that a fit looks at: 256 MiB in float64.
_FIT_NUMBERS: Final = 1 << 25
_FEWEST: Final = 200


def fair_rows(clean: EventBatch, most: int) -> IntArray:
    """Indices of at most ``most`` rows, ascending; fewer (but 200) if rows are so wide that they would fill memory.

    Each client gives its rows evenly spaced over time, as many as any other as far as it has them.
    """
    most = min(most, max(_FIT_NUMBERS // max(clean.x.shape[1], 1), _FEWEST))
    groups = list(clean.by_client().values())
    if len(clean) <= most:
        return np.arange(len(clean), dtype=np.int64)
    quota = _quota(np.array([len(rows) for rows in groups]), most)
    chosen = [
        rows[np.linspace(0, len(rows) - 1, q).astype(np.int64)] for rows, q in zip(groups, quota, strict=True) if q
    ]
    return np.sort(np.concatenate(chosen))


def _quota(sizes: IntArray, most: int) -> list[int]:
    """How many each client gives: water-filling, the remainder to those who come first."""
    quota = np.zeros(len(sizes), dtype=np.int64)
    left = most
    while left > 0 and (open_ := np.flatnonzero(quota < sizes)).size:
        step = max(left // len(open_), 1)
        for i in open_[:left].tolist():
            give = int(min(step, sizes[i] - quota[i]))
            quota[i] += give
            left -= give
    return [int(q) for q in quota]
