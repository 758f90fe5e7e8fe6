"""Arrays that grow."""

from __future__ import annotations

import contextlib
import math
import mmap
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T", bound=np.generic)

_GROWTH: Final = 3
#: From here on zeros get large pages, as NumPy gives what is not zero: rows that are looked up at random then cost one
#: miss each and not two, and a first write enters 2 MiB at once.
_LARGE_BYTES: Final = 1 << 22


def grown(array: npt.NDArray[T], least: int, *, used: int | None = None) -> npt.NDArray[T]:
    """``array`` if it has ``least`` rows, else a copy with three times as many or ``least``; new rows hold zeros.

    Rows that nobody has written cost no memory, but each copy costs time, and memory for both until it is made.

    Args:
        used: only so many rows are copied, and the others hold anything: those that were never written stay free.
    """
    if len(array) >= least:
        return array
    shape = (max(_GROWTH * len(array), least), *array.shape[1:])
    bigger = _zeros(shape, array.dtype) if used is None else np.empty(shape, array.dtype)
    bigger[: len(array) if used is None else used] = array[:used]
    return bigger


def _zeros(shape: tuple[int, ...], dtype: np.dtype[T]) -> npt.NDArray[T]:
    size = math.prod(shape) * dtype.itemsize
    if size < _LARGE_BYTES or not hasattr(mmap, "MADV_HUGEPAGE"):  # another system than Linux
        return np.zeros(shape, dtype)
    # private: shared pages, which Python would make, are small on most systems, and a child's writes would show here
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel that has none
        pages.madvise(mmap.MADV_HUGEPAGE)
    array: npt.NDArray[Any] = np.ndarray(shape, dtype, buffer=pages)
    return array
