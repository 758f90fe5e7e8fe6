"""The one way in which functions are compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """``function``, compiled when first called and kept on disk: in ``NUMBA_CACHE_DIR``, beside its source file, or in
    the user's cache, the first that can be written. Where none can, each process compiles anew.

    A kernel must not call one of another file: what is kept would outlive a change there. It lets go of the
    interpreter, and what comes from the broker is taken in meanwhile: no other thread may change what it is given.
    """

    @cache
    def compiled() -> Callable[P, R]:
        # Numba takes a second to import, and most commands judge nothing.
        from numba import njit

        # division by zero gives infinity, and vectors can be used
        options: dict[str, Any] = {"error_model": "numpy", "nogil": True}
        try:
            quick: Callable[P, R] = njit(cache=True, **options)(function)
        except RuntimeError:  # Numba found no folder that it may write to
            quick = njit(**options)(function)
        return quick

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return compiled()(*args, **kwargs)

    return run
