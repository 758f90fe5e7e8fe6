"""The delivery loop: takes what is due from the outbox to its channel, one channel never holding up another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from responders.channel import Channel, Pending, SendError
from responders.outbox import Outbox
from responders.text import visible

#: The loop looks at least this often, so that a clock that jumped holds up nothing for long.
MAX_NAP_S: Final = 30.0
#: After the outbox itself failed (a full disk, a locked database).
OUTBOX_RETRY_S: Final = 5.0

_log = structlog.get_logger(__name__)


class Deliverer:
    """Delivers an outbox's messages over the channels given by name.

    Args:
        clock: wall clock, seconds since the epoch.
        group_wait_s, group_interval_s: see ``responders.outbox_rows``.
        send_limit_s: a send that takes longer is given up and tried again.
    """

    def __init__(
        self,
        outbox: Outbox,
        channels: Mapping[str, Channel],
        clock: Callable[[], float],
        *,
        group_wait_s: float = 2.0,
        group_interval_s: float = 30.0,
        send_limit_s: float = 60.0,
    ) -> None:
        self._outbox = outbox
        self._channels = dict(channels)
        self._clock = clock
        self._timing = {
            name: (group_wait_s, max(group_interval_s, channel.update_interval_s)) for name, channel in channels.items()
        }
        self._send_limit_s = send_limit_s
        self._wakes = {name: asyncio.Event() for name in self._channels}
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._workers: list[asyncio.Task[None]] = []

    def wake(self) -> None:
        """Look at the outbox now; callable from any thread. Does nothing while the loop does not run."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake_all)

    async def run(self) -> None:
        """Deliver until ``stop``. Each channel has a task of its own."""
        self._loop = asyncio.get_running_loop()
        try:
            await asyncio.to_thread(self._outbox.forgive)
        except Exception:
            _log.exception("outbox failed")  # what waits goes out all the same, only later
        self._workers = [asyncio.create_task(self._work(name), name=f"deliver {name}") for name in self._channels]
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def stop(self, flush_s: float = 5.0) -> None:
        """End ``run``: send what waits without its grouping delay, for at most ``flush_s``; the rest stays queued."""
        self._stopping = True
        self._wake_all()
        if self._workers:
            _, late = await asyncio.wait(self._workers, timeout=flush_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def deliver_once(self, now: float) -> int:
        """Send all that is due at ``now``, channels side by side; how many messages arrived."""
        return sum(
            await asyncio.gather(*(self._pass(name, lambda: now, self._timing[name]) for name in self._channels))
        )

    def _wake_all(self) -> None:
        for event in self._wakes.values():
            event.set()

    async def _work(self, name: str) -> None:
        wake = self._wakes[name]
        while not self._stopping:
            wake.clear()
            nap_s = await self._round(name, self._timing[name])
            try:
                async with asyncio.timeout(nap_s):
                    await wake.wait()
            except TimeoutError:
                pass
        await self._round(name, (0.0, 0.0))

    async def _round(self, name: str, timing: tuple[float, float]) -> float:
        """Deliver what is due; seconds until it is worth looking again."""
        try:
            await self._pass(name, self._clock, timing)
            due_at = await asyncio.to_thread(self._outbox.due_at, name, *timing)
        except Exception:
            # No flood can come of this: a message leaves only after the outbox has noted that it is about to.
            _log.exception("outbox failed", channel=name, retry_in_s=OUTBOX_RETRY_S)
            return OUTBOX_RETRY_S
        return MAX_NAP_S if due_at is None else min(max(due_at - self._clock(), 0.0), MAX_NAP_S)

    async def _pass(self, name: str, clock: Callable[[], float], timing: tuple[float, float]) -> int:
        sent = 0
        while (item := await asyncio.to_thread(self._outbox.due, name, clock(), *timing)) is not None:
            sent += await self._deliver(item, clock)
        return sent

    async def _deliver(self, item: Pending, clock: Callable[[], float]) -> bool:
        log = _log.bind(channel=item.channel, incident=item.notice.incident_id, revision=item.notice.revision)
        await asyncio.to_thread(self._outbox.begin, item)
        try:
            async with asyncio.timeout(self._send_limit_s):
                remote_ref = await self._channels[item.channel].send(item)
        except Exception as error:
            failure = _failure(error)
            delay_s = await asyncio.to_thread(self._outbox.failed, item, failure, clock())
            say = log.error if failure.permanent else log.warning
            say(
                "notification refused; needs a person" if failure.permanent else "notification delayed",
                error=failure.detail,
                attempts=item.attempts + 1,
                retry_in_s=delay_s,
            )
            return False
        await asyncio.to_thread(self._outbox.sent, item, remote_ref, clock())
        log.info("notification sent", update=item.sent is not None)
        return True


def _failure(error: Exception) -> SendError:
    if isinstance(error, SendError):
        return error
    if isinstance(error, TimeoutError):
        return SendError("no answer in time", uncertain=True)
    # A fault of ours with one message must not hold up the others.
    return SendError(visible(f"{type(error).__name__}: {error}", 300), whole_channel=False, uncertain=True)
