"""Waiting for what a stand-in receives, without sleeping."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Observable:
    """Something whose changes can be awaited, within one event loop."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once the condition holds; it is looked at now and after every change."""
        async with self._changed:
            await self._changed.wait_for(condition)

    async def _announce(self) -> None:
        async with self._changed:
            self._changed.notify_all()
