"""Runs of equal rows, and places within them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.batch import IntArray


def runs(*columns: npt.NDArray[Any]) -> tuple[IntArray, IntArray]:
    """Where runs of rows begin that are equal in all columns ``(n,)``, and how many rows each has."""
    n = len(columns[0])
    begins = np.zeros(n, dtype=np.bool_)
    begins[:1] = True
    for column in columns:
        begins[1:] |= column[1:] != column[:-1]
    at = np.flatnonzero(begins)
    return at, np.diff(np.append(at, n))


def run_ranks(*columns: npt.NDArray[Any]) -> IntArray:
    """Place of each row, from 0, among those that are equal to it in all columns ``(n,)``; these must lie together."""
    return np.arange(len(columns[0])) - np.repeat(*runs(*columns))
