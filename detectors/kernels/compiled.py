"""The one way in which functions are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """``function``, compiled when first called and kept on disk: in ``NUMBA_CACHE_DIR``, beside its source file, or in
    the user's cache, the first that can be written. Where none can, each process compiles anew.

    A kernel must not call one of another file: what is kept would outlive a change there.
    """
    options: dict[str, Any] = {"error_model": "numpy"}  # division by zero gives infinity, and loops can use vectors
    try:
        compiled: Callable[P, R] = njit(cache=True, **options)(function)
    except RuntimeError:  # Numba found no folder that it may write to
        compiled = njit(**options)(function)
    return compiled
