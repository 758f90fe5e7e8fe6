"""Arrays that grow."""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T", bound=np.generic)

_GROWTH: Final = 3


def grown(array: npt.NDArray[T], least: int, *, used: int | None = None) -> npt.NDArray[T]:
    """``array`` if it has ``least`` rows, else a copy with three times as many or ``least``; new rows hold zeros.

    Rows that nobody has written cost no memory, but each copy costs time, and memory for both until it is made.

    Args:
        used: only so many rows are copied, and the others hold anything: those that were never written stay free.
    """
    if len(array) >= least:
        return array
    shape = (max(_GROWTH * len(array), least), *array.shape[1:])
    bigger = np.zeros(shape, array.dtype) if used is None else np.empty(shape, array.dtype)
    bigger[: len(array) if used is None else used] = array[:used]
    return bigger
