"""Places within runs of equal rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.batch import IntArray


def run_ranks(*columns: npt.NDArray[Any]) -> IntArray:
    """Place of each row, from 0, among those that are equal to it in all columns ``(n,)``; these must lie together."""
    n = len(columns[0])
    begins = np.ones(n, dtype=np.bool_)
    begins[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    at = np.flatnonzero(begins)
    return np.arange(n) - np.repeat(at, np.diff(np.append(at, n)))
