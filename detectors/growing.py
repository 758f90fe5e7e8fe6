"""Arrays that grow."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T", bound=np.generic)


def grown(array: npt.NDArray[T], least: int, *, zeroed: bool = True) -> npt.NDArray[T]:
    """``array`` if it has ``least`` rows, else a copy with half as many again or ``least``; new rows hold zeros."""
    if len(array) >= least:
        return array
    shape = (max(len(array) + len(array) // 2, least), *array.shape[1:])
    bigger = np.zeros(shape, array.dtype) if zeroed else np.empty(shape, array.dtype)
    bigger[: len(array)] = array
    return bigger
