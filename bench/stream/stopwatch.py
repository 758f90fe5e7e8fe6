"""Processor time of one thread by part: each moment counts for the innermost part that is being run."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Generator
from functools import wraps
from types import coroutine
from typing import Any


class Stopwatch:
    """Puts functions and coroutines of others under watch; other threads than the one it was made in are not timed."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._thread = threading.get_ident()
        self._running: list[str] = []
        self._since = 0.0

    def _enter(self, part: str) -> None:
        now = time.thread_time()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._running.append(part)
        self._since = now

    def _leave(self) -> None:
        now = time.thread_time()
        self.seconds[self._running.pop()] += now - self._since
        self._since = now

    def watch(self, part: str, owner: Any, name: str) -> None:
        """From now on calls of ``owner.name`` count for ``part``."""
        do = getattr(owner, name)

        @wraps(do)
        def timed(*args: Any, **options: Any) -> Any:
            if threading.get_ident() != self._thread:
                return do(*args, **options)
            self._enter(part)
            try:
                return do(*args, **options)
            finally:
                self._leave()

        setattr(owner, name, timed)

    def watch_coroutine(self, part: str, owner: Any, name: str) -> None:
        """The same for a coroutine function: its own steps count, what runs while it waits does not."""
        do: Callable[..., Coroutine[Any, Any, Any]] = getattr(owner, name)

        @wraps(do)
        async def timed(*args: Any, **options: Any) -> Any:
            return await self._driven(part, do(*args, **options))

        setattr(owner, name, timed)

    @coroutine
    def _driven(self, part: str, work: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        watched = threading.get_ident() == self._thread
        resume: Callable[[], Any] = lambda: work.send(None)  # noqa: E731 - changes from step to step
        while True:
            if watched:
                self._enter(part)
            try:
                waits_for = resume()
            except StopIteration as end:
                return end.value
            finally:
                if watched:
                    self._leave()
            try:
                yield waits_for
                resume = lambda: work.send(None)  # noqa: E731 - see above
            except BaseException as error:  # a cancellation is handed on like any other
                resume = lambda error=error: work.throw(error)  # noqa: E731 - see above
