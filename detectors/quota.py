"""How many rows of one client a window takes in: a window speaks for a model's clients, not for its busiest one.

Rows of a client resemble each other (intra-class correlation rho), so q of them are worth q / (1 + (q - 1) rho), never
more than 1 / rho. Past a few times 1 / rho a client's further rows say nothing new and only drown the others. A quota
keeps nearly all that a window can tell, and bounds what one client (a busy script, an attacker) can do to it.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Final

import numpy as np

from detectors.batch import BoolArray, EventBatch, FloatArray, IntArray
from detectors.shift_counts import fit_clustering, fit_grid

#: A quota of 3 / rho takes three quarters of what a client can tell.
_TIMES: Final = 3.0
_LEAST: Final = 8
_MOST: Final = 10_000
#: A model with few clients gets a larger quota, so that half of its clean windows keep this many rows.
_WINDOW_ROWS: Final = 100


def window_index(ts: FloatArray, window_s: float) -> IntArray:
    """Tumbling window each event time falls into: floor(ts / window_s)."""
    return np.asarray(np.floor(ts / window_s), dtype=np.int64)


def fit_quota(clean: EventBatch, window_s: float) -> int:
    """Rows of one client that a window takes in, from clean traffic in event order."""
    rho = float(fit_clustering(fit_grid(clean), clean)["rho_pooled"])
    quota = _LEAST if rho >= 1.0 else min(max(math.ceil(_TIMES / max(rho, _TIMES / _MOST)), _LEAST), _MOST)
    while quota < _MOST:
        kept = np.unique(window_index(clean.ts, window_s)[within_quota(clean, window_s, quota)], return_counts=True)[1]
        if np.median(kept) >= _WINDOW_ROWS or kept.sum() == len(clean):
            break
        quota = min(quota * 2, _MOST)
    return quota


def within_quota(batch: EventBatch, window_s: float, quota: int) -> BoolArray:
    """The first ``quota`` rows of each client in each window."""
    seen: Counter[tuple[str, int]] = Counter()
    keep = np.zeros(len(batch), dtype=np.bool_)
    for i, key in enumerate(zip(batch.clients, window_index(batch.ts, window_s).tolist(), strict=True)):
        seen[key] += 1
        keep[i] = seen[key] <= quota
    return keep
