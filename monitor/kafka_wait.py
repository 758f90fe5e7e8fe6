"""Patience with a broker that is not up yet; none with what waiting cannot mend."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from monitor.kafka_connect import BrokerUnreachable, admin_client
from monitor.settings import Settings

T = TypeVar("T")

FIRST_WAIT_S: Final = 0.5
MAX_WAIT_S: Final = 30.0
#: The reason is said at once, and then again this often at most.
SAY_EVERY_S: Final = 5.0


def backoff_s(attempt: int, jitter: float) -> float:
    """Seconds to wait after failure number ``attempt`` (0, 1, ...): doubling up to ``MAX_WAIT_S``.

    ``jitter`` in [0, 1) takes up to half of it away, so that workers that lost a broker together do not come back
    together.
    """
    # beyond 2^16 the cap has long been reached, and a float would overflow in the end
    return min(MAX_WAIT_S, FIRST_WAIT_S * 2.0 ** min(attempt, 16)) * (1.0 - jitter / 2)


class _Patience:
    """How long to wait after each failure; says why the first time, when the reason changes, and now and then."""

    def __init__(self, say: Callable[[str], None], now: Callable[[], float], jitter: Callable[[], float]) -> None:
        self._say, self._now, self._jitter = say, now, jitter
        self._attempt, self._said, self._said_s = 0, "", 0.0

    def wait_s(self, error: BrokerUnreachable) -> float:
        wait_s = backoff_s(self._attempt, self._jitter())
        if str(error) != self._said or self._now() - self._said_s >= SAY_EVERY_S:
            self._said, self._said_s = str(error), self._now()
            self._say(f"waiting for Kafka, next try in {wait_s:.1f} s: {self._said}")
        self._attempt += 1
        return wait_s


def with_patience(
    action: Callable[[], T],
    say: Callable[[str], None],
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    jitter: Callable[[], float] = random.random,
) -> T:
    """What ``action`` gives, tried until a broker answers, for ever.

    Args:
        action: raises BrokerUnreachable to be tried again; whatever else it raises is raised here.
        say: told why it waits: the first time, when the reason changes, and every ``SAY_EVERY_S`` seconds.
        now: seconds of a clock that only goes forward.
    """
    patience = _Patience(say, now, jitter)
    while True:
        try:
            return action()
        except BrokerUnreachable as error:
            sleep(patience.wait_s(error))


async def until_answered(
    action: Callable[[], Awaitable[T]], say: Callable[[str], None], *, jitter: Callable[[], float] = random.random
) -> T:
    """``with_patience`` in an event loop: for what is asked while others go on."""
    patience = _Patience(say, time.monotonic, jitter)
    while True:
        try:
            return await action()
        except BrokerUnreachable as error:
            wait_s = patience.wait_s(error)
        await asyncio.sleep(wait_s)


def wait_for_broker(
    settings: Settings,
    say: Callable[[str], None],
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    jitter: Callable[[], float] = random.random,
    timeout_s: float = 10.0,
) -> None:
    """Return once a broker answers and takes the login; ``timeout_s`` bounds each try.

    Raises:
        KafkaProblem, CredentialsError: what waiting cannot mend: a refused login, an untrusted certificate, an
            address that is none, a missing password.
    """

    def look() -> None:
        with admin_client(settings.kafka, timeout_s):
            pass

    with_patience(look, say, now=now, sleep=sleep, jitter=jitter)
