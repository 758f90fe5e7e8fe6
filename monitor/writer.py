"""Writes to the data folder beside the event loop, which need not wait for a disk, or for who holds the lock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class Writer:
    """A thread that does one thing after another, in the order in which they were put."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")

    def put(self, write: Callable[..., T], *args: Any, **more: Any) -> asyncio.Future[T]:
        """Done after all that were put before, whoever waits for it; what it raises, the future raises.

        Raises RuntimeError after ``close``.
        """
        return asyncio.get_running_loop().run_in_executor(self._thread, partial(write, *args, **more))

    def close(self) -> None:
        """Waits for all that were put."""
        self._thread.shutdown()
