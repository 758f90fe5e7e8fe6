"""stream-latency: from the record of the event that crosses a line to its finding on the findings topic."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench.results import Table
from bench.stream.brokers import brokers
from bench.stream.drains import maximum
from bench.stream.goals import Run
from bench.stream.topics import PARTITIONS, Filled, make
from bench.stream.worker import BenchWorker
from bench.traffic import classify, encoded, tabular_events
from detectors.batch import FloatArray
from detectors.finding import Finding
from monitor.event import Event
from replay.sender import partition_of

GOAL_MS = 500.0
FINDINGS = 100
D = 30
_STEPS = 24
#: In all, and in a quick run.
_ATTACKERS = 100, 60
_CHUNK = 4000
#: Records sent together: a hundredth of a second's worth.
_SLICE_S = 0.01
#: Findings that are late by more than this are not waited for, and make the row fall short.
_PATIENCE_S = 15.0


def bisection(client: int, first_ts: float, step_s: float, rng: np.random.Generator) -> list[Event]:
    """An attacker who halves the line between two inputs of different classes until the answers flip back and forth."""
    ends = tabular_events(200, D, 1, seed=int(rng.integers(1 << 31)))
    near = ends[0]
    far = next(e for e in ends if classify(e.x).argmax() != classify(near.x).argmax())
    low, high, events = near.x, far.x, []
    for step in range(_STEPS):
        x = ((low + high) / 2).astype(np.float32)
        if step > _STEPS // 2:  # about as close as a float32 gets: ask to either side of the boundary
            x = (x + rng.normal(0.0, 1e-3, x.shape)).astype(np.float32)
        scores = classify(x)
        label = scores.argmax(axis=1).astype(np.int64)
        if step <= _STEPS // 2:
            low, high = (x, high) if label[0] == classify(near.x).argmax() else (low, x)
        events.append(
            msgspec.structs.replace(
                near,
                id=f"attack-{client}-{step}",
                ts=first_ts + step * step_s,
                x=x,
                scores=scores,
                labels=label,
                client_id=f"attacker-{client}",
                client_ip=f"172.16.{client // 250}.{client % 250}",
            )
        )
    return events


def traffic(events: int, duration_s: float, attackers: int) -> Iterator[list[Event]]:
    """Honest events in chunks, with attackers that begin one after another, evenly over time."""
    rng, chunks, clients = np.random.default_rng(5), -(-events // _CHUNK), max(int(events * 3.0 / duration_s), 1)
    waiting: list[Event] = []
    for i in range(chunks):
        part_s = duration_s / chunks
        chunk = tabular_events(_CHUNK, D, clients, seed=5000 + i, duration_s=part_s, start_s=i * part_s)
        for a in range(i * attackers // chunks, (i + 1) * attackers // chunks):
            waiting += bisection(a, chunk[0].ts, 5.0, rng)
        until = chunk[-1].ts
        chunk += [e for e in waiting if e.ts <= until]
        waiting = [e for e in waiting if e.ts > until]
        yield sorted(chunk, key=lambda e: e.ts)


@dataclass
class Stamps:
    """Milliseconds since the epoch: when records were stamped, by event id; and when findings came."""

    sent: dict[str, int] = field(default_factory=dict)
    found: list[tuple[Finding, float]] = field(default_factory=list)
    took_s: float = 0.0

    def latencies_ms(self) -> FloatArray:
        """Of findings made at a request. Those of groups come when their window closes, whatever the speed."""
        single = [(f.evidence.get("at"), came) for f, came in self.found if f.subject.scope != "group"]
        return np.array([came - self.sent[at] for at, came in single if at in self.sent])


async def _send(bootstrap: str, topic: str, events: list[Event], rate: float, stamps: Stamps) -> None:
    records = encoded(events, "json")
    homes = [partition_of(r.key, PARTITIONS) for r in records]
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=1 << 18)
    await producer.start()
    began, sent = time.perf_counter(), 0
    filling: dict[int, Any] = {}
    under_way: dict[int, asyncio.Future[Any]] = {}
    while sent < len(records):
        due = min(int((time.perf_counter() - began) * rate) + 1, len(records))
        now_ms = int(time.time() * 1000)
        for record, home, event in zip(records[sent:due], homes[sent:due], events[sent:due], strict=True):
            batch = filling.get(home) or filling.setdefault(home, producer.create_batch())
            while batch.append(key=record.key, value=record.value, timestamp=now_ms) is None:
                under_way[home] = await producer.send_batch(batch, topic, partition=home)
                batch = filling[home] = producer.create_batch()
            if event.id.startswith("attack"):
                stamps.sent[event.id] = now_ms
        for home in [home for home in filling if home not in under_way or under_way[home].done()]:
            # Else it goes on filling: the producer sends one batch of a partition at a time, and few records in each
            # would queue up in it.
            under_way[home] = await producer.send_batch(filling.pop(home), topic, partition=home)
        sent = due
        await asyncio.sleep(_SLICE_S)
    for home, batch in filling.items():
        await producer.send_batch(batch, topic, partition=home)
    stamps.took_s = time.perf_counter() - began
    await producer.stop()


async def _listen(bootstrap: str, topic: str, stamps: Stamps) -> None:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=10,  # the embedded broker looks for new records in steps of half of it
    )
    await consumer.start()
    try:
        async for record in consumer:
            stamps.found.append((msgspec.json.decode(record.value, type=Finding), time.time() * 1000))
    finally:
        await consumer.stop()


async def _play(bootstrap: str, worker: BenchWorker, topic: str, events: list[Event], rate: float) -> Stamps:
    stamps = Stamps()
    listening = asyncio.create_task(_listen(bootstrap, worker.findings, stamps))
    await _send(bootstrap, topic, events, rate, stamps)
    deadline = time.monotonic() + _PATIENCE_S
    while await asyncio.to_thread(worker.judged) < len(events) and time.monotonic() < deadline:  # noqa: ASYNC110 - another process's count
        await asyncio.sleep(0.2)
    known = -1
    while known < len(stamps.found) and time.monotonic() < deadline:  # until no more findings come
        known = len(stamps.found)
        await asyncio.sleep(1.0)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    return stamps


class _Round(NamedTuple):
    """Events a second that were asked for and reached, and how late each finding came."""

    asked: float
    reached: float
    late_ms: FloatArray

    def percentile(self, p: float) -> float:
        return float(np.percentile(self.late_ms, p)) if len(self.late_ms) else float("inf")


def measure(run: Run) -> None:
    """At half of what a worker can do, by its speed in the same minute."""
    table = Table(
        "stream-latency",
        "From an event's record to the finding it led to on the findings topic, JSON with 30 features",
        ("broker", "maximum, events/s", "events/s", "findings", "p50, ms", "p99, ms", "max, ms", "p99 of each round"),
        notes="At half of the events a second with which a worker empties a topic of the same broker, measured before "
        "each round: a shared machine is not as fast in one minute as in another. What the broker was filled with for "
        "it is on the disk before the round begins. The middle round by its p99. "
        "Producer, broker and the reader of findings on the same cores. From the time stamp of the record whose event "
        f"crossed the line to the arrival of the finding; {run.size(*_ATTACKERS)} attackers bisect, one after another. "
        "Findings of groups, which come when a window closes, are left out. "
        f"Goal: p99 at most {GOAL_MS:g} ms, of at least {FINDINGS} findings.",
    )
    for name, bootstrap in brokers():
        rounds = sorted((_round(run, bootstrap) for _ in range(run.size(3, 1))), key=lambda one: one.percentile(99))
        middle = rounds[len(rounds) // 2]
        p50, p99, most = (middle.percentile(p) for p in (50, 99, 100))
        speeds = f"{2 * middle.asked:,.0f}", f"{middle.reached:,.0f}"
        figures = f"{len(middle.late_ms)}", f"{p50:.0f}", f"{p99:.0f}", f"{most:.0f}"
        table.row(name, *speeds, *figures, ", ".join(f"{one.percentile(99):.0f}" for one in rounds))
        run.at_most(f"stream-latency, {name}, p99 in ms", p99, GOAL_MS)
        run.at_least(f"stream-latency, {name}, findings", min(len(one.late_ms) for one in rounds), FINDINGS)
    run.publish(table)


def _round(run: Run, bootstrap: str) -> _Round:
    rate = maximum(run, bootstrap) / 2
    events = [e for chunk in traffic(int(rate * run.size(20, 8)), 600.0, run.size(*_ATTACKERS)) for e in chunk]
    os.sync()  # a filled broker's pages, written later, would be in the way of what findings wait for
    stamps = _stamped(run, bootstrap, events, rate)
    return _Round(rate, len(events) / stamps.took_s, stamps.latencies_ms())


def _stamped(run: Run, bootstrap: str, events: list[Event], rate: float) -> Stamps:
    """The events as they come to a worker that is warm."""
    topic = Filled(bootstrap, D, "json", len(events), 0)
    make(topic)
    worker = BenchWorker(run.scratch, topic)
    with worker:
        worker.until_ready()
        warm = tabular_events(4000, D, 200, seed=4, duration_s=60.0, start_s=-100.0)
        asyncio.run(_play(bootstrap, worker, topic.name, warm, 4000.0))
        return asyncio.run(_play(bootstrap, worker, topic.name, events, rate))
