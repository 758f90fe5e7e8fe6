"""stream-memory: a day of event time through a worker at full speed; does its memory grow?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.results import Table
from bench.stream.goals import Run
from bench.stream.latency import bisection
from bench.stream.topics import PARTITIONS, Filled, make, send
from bench.stream.worker import BenchWorker
from bench.traffic import START_TS, encoded, tabular_events
from monitor.event import Event
from replay.embedded_broker import EmbeddedBroker
from replay.schedule import Record

ID = "stream-memory"
D = 30
HOURS = 24
#: Clients are forgotten within three hours; later caches of a fixed size are full, and the allocator has settled.
WARM_UP_HOURS = 8
#: One-sided, for 95 % of fits to memory that does not grow.
CONFIDENCE_Z = 1.645
#: Slower growth than this is not told from none, whatever the fit says: one unit of Python's allocator in an hour.
RESOLUTION_BYTES = 1 << 20
#: Each client asks every three seconds for a quarter of a minute, and never again.
_PER_CLIENT = 5
_QUARTERS = 4
_CLIENTS_PER_MINUTE = 168
_ATTACK_EVERY_MINUTES = 15
_POLL_S = 0.05


class Sample(NamedTuple):
    hour: float
    resident_bytes: int


class Fit(NamedTuple):
    """Bytes an hour of event time."""

    slope: float
    error: float


def minute(number: int, clients: int) -> list[Event]:
    """New clients, and now and then an attacker."""
    quarters = np.arange(clients).reshape(_QUARTERS, 1, -1)
    owner = np.tile(quarters, (1, _PER_CLIENT, 1)).ravel() + number * clients
    start_s = number * 60.0
    events = tabular_events(len(owner), D, clients, number, 60.0, start_s=start_s, owner=owner)
    if number % _ATTACK_EVERY_MINUTES == 0:
        events += bisection(number, START_TS + start_s, 2.0, np.random.default_rng(number))
    return events


def day(clients: int) -> Iterator[Record]:
    for number in range(HOURS * 60):
        yield from sorted(encoded(minute(number, clients), "compact"), key=lambda r: r.ts)


def fit(hours: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> Fit:
    """Least squares; the standard error is that of the slope."""
    x = hours - hours.mean()
    slope = float(x @ values / (x @ x))
    residuals = values - values.mean() - slope * x
    return Fit(slope, float(np.sqrt(residuals @ residuals / (len(x) - 2) / (x @ x))))


def hourly(samples: list[Sample]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Means by hour after the warm-up: neighbouring samples are nearly the same, and would make the error too small."""
    hours = np.array([int(s.hour) for s in samples])
    resident = np.array([s.resident_bytes for s in samples], dtype=np.float64)
    known = np.array([h for h in range(WARM_UP_HOURS, HOURS) if (hours == h).any()])
    return known + 0.5, np.array([resident[hours == h].mean() for h in known])


def measure(run: Run) -> None:
    clients = run.size(_CLIENTS_PER_MINUTE, _CLIENTS_PER_MINUTE // 6)
    samples, events, findings = _watch(run, clients)
    hours, means = hourly(samples)
    slope, error = fit(hours, means)
    noise = max(CONFIDENCE_Z * error, RESOLUTION_BYTES)
    table = Table(
        ID,
        f"Memory of a worker through {HOURS} hours of event time at full speed",
        ("events", "clients", "findings", "MB resident, hourly mean", "growth, KB an hour", "standard error", "noise"),
        notes=f"Compact, {D} features; clients come, ask {_PER_CLIENT} times and are gone, attackers bisect now and "
        f"then. A line through hourly means after {WARM_UP_HOURS} hours. Goal: growth within noise, which is "
        f"{CONFIDENCE_Z} standard errors of the slope (95 %, one-sided) and not less than "
        f"{RESOLUTION_BYTES >> 10:,} KiB an hour.",
    )
    table.row(
        f"{events:,}",
        f"{clients * HOURS * 60:,}",
        f"{findings:,}",
        f"{means.min() / 1e6:.0f} to {means.max() / 1e6:.0f}",
        *(f"{value / 1e3:,.0f}" for value in (slope, error, noise)),
    )
    run.publish(table)
    run.at_most(f"{ID}, bytes an hour", slope, noise)


def _watch(run: Run, clients: int) -> tuple[list[Sample], int, int]:
    """Samples by event time, events judged, findings."""
    per_attack = len(bisection(0, START_TS, 2.0, np.random.default_rng(0)))
    events = clients * _PER_CLIENT * HOURS * 60 + per_attack * (HOURS * 60 // _ATTACK_EVERY_MINUTES)
    samples: list[Sample] = []
    with EmbeddedBroker() as broker:
        topic = Filled(broker.bootstrap, D, "compact", events, clients)
        make(topic)
        send(topic, day(clients))
        worker = BenchWorker(run.scratch, topic)
        deadline = time.monotonic() + 300.0
        with worker:
            while worker.judged() < events and time.monotonic() < deadline:
                hour = (worker.metric("vedette_watermark_seconds") / PARTITIONS - START_TS) / 3600.0
                samples.append(Sample(hour, worker.memory()[0]))
                time.sleep(_POLL_S)
            return samples, worker.judged(), int(worker.metric("vedette_findings_total"))
