"""Violence against a group of workers, at random from a seed, and the supervisor that starts them again."""

from __future__ import annotations

import os
import random
import secrets
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from replay.demo.worker import WorkerProcess

Blow = Literal["kill", "leave", "freeze", "broker down", "broker killed"]

#: After a blow the next one waits for work to have been saved, but no longer than this.
PATIENCE_S = 30.0
#: How likely the next blow does not wait: it hits a group that is still busy with the last one.
COMBINATION = 0.3
#: Mean time from the first saved work to the next blow.
GAP_S = 1.0
#: A worker that was hit stays away for up to this long.
AWAY_S = 4.0
#: A leaving worker gets as long as a supervisor would give it.
LEAVING_S = 30.0


def seed() -> int:
    """``VEDETTE_TORTURE_SEED``, or a new one: whoever uses it prints it."""
    return int(os.environ.get("VEDETTE_TORTURE_SEED") or secrets.randbits(32))


@dataclass
class _Victim:
    """One worker and what it suffers: a state, and until when."""

    worker: WorkerProcess
    state: Literal["up", "leaving", "frozen", "down"] = "down"
    until_s: float = 0.0


@dataclass
class Torture:
    """Carries out blows one after another, at random moments and on random workers.

    Args:
        saved: how many events have a verdict so far, of ``events``.
        frozen_s: how long a freeze lasts: longer than the session, so that the group goes on without the frozen one.
        restart_broker: given ``hard``.
        say: told of each blow.
    """

    workers: Sequence[WorkerProcess]
    random: random.Random
    saved: Callable[[], int]
    events: int
    frozen_s: float
    restart_broker: Callable[[bool], None] = lambda _hard: None
    say: Callable[[str], None] = lambda _: None
    #: Exit codes of workers that ended unasked, and of those that were asked to leave.
    crashes: Counter[int] = field(default_factory=Counter)
    leaves: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._victims = [_Victim(worker) for worker in self.workers]
        self._thread = ThreadPoolExecutor(1)
        self._broker: Future[None] | None = None

    def inflict(self, blows: Sequence[Blow]) -> None:
        """All of them, in this order. The last victims may still be away when it returns."""
        started_s = time.monotonic()
        for n, blow in enumerate(blows, 1):
            if self.random.random() >= COMBINATION:
                self._until_something_is_saved()
            self._wait(self.random.expovariate(1 / GAP_S))
            name = self._strike(blow)
            self.say(
                f"[{time.monotonic() - started_s:4.0f} s] {n}/{len(blows)} {blow} {name}, {self.saved()} events saved"
            )

    def until(self, done: Callable[[], bool], what: str, timeout_s: float = 120.0) -> None:
        """Look after the workers, without another blow, until it is done; fails if it takes longer."""
        end_s = time.monotonic() + timeout_s
        while not done():
            assert time.monotonic() < end_s, (
                f"not {what} after {timeout_s:g} s; {self.saved()} events saved\n"
                + "\n".join(worker.log_end() for worker in self.workers)
            )
            self._supervise()
            time.sleep(0.05)

    def end(self) -> None:
        """Let go of whoever is frozen, and end all workers."""
        self._thread.shutdown()
        for victim in self._victims:
            victim.worker.signal(signal.SIGCONT)
        for victim in self._victims:
            victim.worker.stop()

    def _strike(self, blow: Blow) -> str:
        if blow in ("broker down", "broker killed"):
            self.until(lambda: self._broker is None, "up again, the broker")
            self._broker = self._thread.submit(self.restart_broker, blow == "broker killed")
            return ""
        hit = ("up", "leaving") if blow == "kill" else ("up",)  # a kill may come while a worker says goodbye
        self.until(lambda: any(v.state in hit for v in self._victims), "up, any worker")
        number, victim = self.random.choice([(n, v) for n, v in enumerate(self._victims) if v.state in hit])
        if blow == "kill":
            victim.worker.kill()
            self._away(victim)
        elif blow == "leave":
            victim.worker.signal(signal.SIGTERM)
            victim.state, victim.until_s = "leaving", time.monotonic() + LEAVING_S
        else:
            victim.worker.signal(signal.SIGSTOP)
            victim.state, victim.until_s = "frozen", time.monotonic() + self.frozen_s
        return f" of worker {number}"

    def _until_something_is_saved(self) -> None:
        more, end_s = min(self.saved() + 1, self.events), time.monotonic() + PATIENCE_S
        self.until(lambda: self.saved() >= more or time.monotonic() > end_s, "patient")

    def _wait(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end_s, "awake")

    def _away(self, victim: _Victim) -> None:
        victim.state, victim.until_s = "down", time.monotonic() + self.random.uniform(0.0, AWAY_S)

    def _supervise(self) -> None:
        now_s = time.monotonic()
        if self._broker is not None and self._broker.done():
            self._broker.result()
            self._broker = None
        for victim in self._victims:
            over = now_s >= victim.until_s
            code = None if victim.state == "down" else victim.worker.exit_code
            if code is not None:
                if victim.state == "leaving":
                    self.leaves[code] += 1
                else:
                    self.crashes[code] += 1
                    self.say(f"a worker ended unasked, exit code {code}\n{victim.worker.log_end()}")
                self._away(victim)
            elif victim.state == "down" and over:
                victim.worker.start()
                victim.state = "up"
            elif victim.state == "frozen" and over:
                victim.worker.signal(signal.SIGCONT)
                victim.state = "up"
            elif victim.state == "leaving":
                assert not over, f"a worker that was asked to leave is still there after {LEAVING_S:g} s"
