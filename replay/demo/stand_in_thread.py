"""The local Slack and SMTP servers, in a thread with a loop of its own, so that they answer whatever the demo does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType

from replay.stand_ins.slack import Post, SlackStandIn
from replay.stand_ins.smtp import Mail, SmtpStandIn


class StandInThread:
    """A context manager; ``slack`` and ``smtp`` are up inside it.

    Args:
        on_post, on_mail: called from the thread for each message that arrives.
    """

    def __init__(self, on_post: Callable[[Post], None], on_mail: Callable[[Mail], None]) -> None:
        self.slack = SlackStandIn(on_post=on_post)
        self.smtp = SmtpStandIn(on_mail=on_mail)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stand-ins", daemon=True)

    def __enter__(self) -> StandInThread:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10.0)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        await self.slack.start()
        await self.smtp.start()

    async def _stop(self) -> None:
        await self.slack.stop()
        self.smtp.stop()
