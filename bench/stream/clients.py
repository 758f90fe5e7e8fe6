"""stream-clients: what an event costs a worker, and how much memory it has, as the number of clients grows."""

from __future__ import annotations

from collections.abc import Iterator
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
        "of the rounds. Processor time of all threads, checkpoints included; memory at the end, and the most "
        "there ever was. Goals: each cost at most "
        f"{COST_GOAL} times that with fewest clients, at most {MEMORY_GOAL_BYTES / 1e6:,.0f} MB.",
    )
    fewest_us = 0.0
    for full in CLIENTS:
        clients = run.size(full, max(full // 10, CLIENTS[0]))
        per_core, resident, peak = _measure(run, clients)
        us = 1e6 / per_core
        fewest_us = fewest_us or us
        table.row(f"{clients:,}", f"{us:.1f}", f"{us / fewest_us:.2f}", f"{resident / 1e6:,.0f}", f"{peak / 1e6:,.0f}")
        run.at_most(f"{ID}, {clients:,}, times the cost with {CLIENTS[0]:,}", us / fewest_us, COST_GOAL)
        run.at_most(f"{ID}, {clients:,}, bytes at most", peak, MEMORY_GOAL_BYTES)
    run.publish(table)


def _measure(run: Run, clients: int) -> tuple[float, int, int]:
    """Events a second of processor time, in the best round, and the worker's memory at the end and at most."""
    events, judged, best = run.size(_TAIL_EVENTS, _TAIL_EVENTS // 5), clients * PER_CLIENT, 0.0
    with EmbeddedBroker() as broker:
        topic = Filled(broker.bootstrap, D, "json", events, clients)
        make(topic)
        send(topic, introduced(clients))
        worker = BenchWorker(run.scratch, topic)
        with worker:
            worker.until_judged(judged, timeout_s=600.0)
            for i in range(1, run.size(3, 2) + 1):
                tail = replace(topic, start_s=i * (DURATION_S + 2 * CLOSE_AFTER_S), seed=i * 10**4)
                records = list(tail.records())  # made before, so that they are sent faster than they are judged
                began_s = worker.cpu_s()
                send(tail, records)
                judged += events
                worker.until_judged(judged, timeout_s=300.0)
                best = max(best, events / (worker.cpu_s() - began_s))
    return best, worker.resident_bytes, worker.peak_bytes
