"""stream-clients: what an event costs a worker, and how much memory it has, as the number of clients grows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import numpy as np

from bench.results import Table
from bench.stream.goals import Run
from bench.stream.topics import ASKS_EVERY_S, CLOSE_AFTER_S, DURATION_S, Filled, make, send
from bench.stream.worker import BenchWorker
from bench.traffic import encoded, tabular_events
from replay.embedded_broker import EmbeddedBroker
from replay.schedule import Record

ID = "stream-clients"
COST_GOAL = 1.3
MEMORY_GOAL_BYTES = 2e9
CLIENTS = (1_000, 100_000, 1_000_000)
D = 30
#: Requests of each client before anything is timed.
PER_CLIENT = 3
_CLIENTS_PER_CHUNK = 2000
_TAIL_EVENTS = 200_000


def introduced(clients: int) -> Iterator[Record]:
    """Compact records with the first requests of each client, one record a client, over ``DURATION_S`` in all."""
    for first in range(0, clients, _CLIENTS_PER_CHUNK):
        owner = np.tile(np.arange(first, min(first + _CLIENTS_PER_CHUNK, clients)), PER_CLIENT)
        begin_s, took_s = DURATION_S * first / clients, PER_CLIENT * ASKS_EVERY_S
        events = tabular_events(len(owner), D, clients, 10**6 + first, took_s, start_s=begin_s, owner=owner)
        yield from encoded(events, "compact")


def measure(run: Run) -> None:
    table = Table(
        ID,
        "What an event costs a worker that knows many clients, and the worker's memory",
        ("clients", "µs of processor time an event", "of that with fewest", "MB resident", "MB at most"),
        notes=f"Each client makes {PER_CLIENT} requests; then the worker is timed with "
        f"{run.size(_TAIL_EVENTS, _TAIL_EVENTS // 5):,} events of clients at random, JSON with {D} features, the best "
        "of the rounds, which take turns. Processor time of all threads, checkpoints included; memory at the end, and "
        "the most there ever was. Goals: each cost at most "
        f"{COST_GOAL} times that with fewest clients, at most {MEMORY_GOAL_BYTES / 1e6:,.0f} MB.",
    )
    fewest_us = 0.0
    with EmbeddedBroker() as broker, ExitStack() as until_all_are_measured:
        crowds = []
        for full in CLIENTS:
            crowds.append(_Crowd(run, broker.bootstrap, run.size(full, max(full // 10, CLIENTS[0]))))
            until_all_are_measured.enter_context(crowds[-1].worker)
            crowds[-1].introduce()
        for i in range(1, run.size(3, 2) + 1):
            for crowd in crowds:  # taking turns: a shared machine is not as fast in one minute as in another
                crowd.ask(i)
    for crowd in crowds:
        worker = crowd.worker
        fewest_us = fewest_us or crowd.least_us
        times, sizes = crowd.least_us / fewest_us, (worker.resident_bytes, worker.peak_bytes)
        table.row(f"{crowd.clients:,}", f"{crowd.least_us:.1f}", f"{times:.2f}", *(f"{n / 1e6:,.0f}" for n in sizes))
        run.at_most(f"{ID}, {crowd.clients:,}, times the cost with {CLIENTS[0]:,}", times, COST_GOAL)
        run.at_most(f"{ID}, {crowd.clients:,}, bytes at most", worker.peak_bytes, MEMORY_GOAL_BYTES)
    run.publish(table)


class _Crowd:
    """A worker with so many clients, and what their events cost it in the best round."""

    def __init__(self, run: Run, bootstrap: str, clients: int) -> None:
        self.clients = clients
        self.least_us = float("inf")
        self._topic = Filled(bootstrap, D, "json", run.size(_TAIL_EVENTS, _TAIL_EVENTS // 5), clients)
        self._sent = 0
        make(self._topic)
        self.worker = BenchWorker(run.scratch, self._topic)

    def introduce(self) -> None:
        send(self._topic, introduced(self.clients))
        self._sent += self.clients * PER_CLIENT
        self.worker.until_judged(self._sent, timeout_s=600.0)

    def ask(self, number: int) -> None:
        """A round, whose number no other has."""
        later_s = number * (DURATION_S + 2 * CLOSE_AFTER_S)
        tail = replace(self._topic, start_s=later_s, seed=number * 10**4)
        records = list(tail.records())  # made before, so that they are sent faster than they are judged
        began_s = self.worker.cpu_s()
        send(tail, records)
        self._sent += tail.events
        self.worker.until_judged(self._sent, timeout_s=300.0)
        self.least_us = min(self.least_us, 1e6 * (self.worker.cpu_s() - began_s) / tail.events)
