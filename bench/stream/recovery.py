"""stream-recovery: a worker with the state of many clients is killed; how long until its successor is ready."""

from __future__ import annotations

import sys
import time

from bench.results import Table
from bench.stream.goals import Run
from bench.stream.topics import filled
from bench.stream.transport import apache, embedded
from bench.stream.worker import BenchWorker
from monitor.settings import Kafka

GOAL_S = 15.0
CLIENTS = 100_000
_PER_CLIENT = 2


def measure(run: Run) -> None:
    clients = run.size(CLIENTS, CLIENTS // 10)
    table = Table(
        "stream-recovery",
        "Seconds from the start of a worker after a SIGKILL until it is ready with its state",
        ("broker of the changelog", "clients", "state loaded, MB", "reading state, s", "ready after, s"),
        notes=f"By default settings: the group waits for the dead worker's session, {Kafka().session_timeout_s:g} s, "
        f"to end. Ready: /readyz says so, partitions are assigned and state is loaded. JSON, 30 features, about "
        f"{_PER_CLIENT} events a client. Goal: at most {GOAL_S:g} s.",
    )
    for name, broker in (("embedded", embedded), ("Apache Kafka", apache)):
        with broker() as bootstrap:
            if not bootstrap:
                print(f"{name} cannot run here; its row is left out", file=sys.stderr)
                continue
            topic = filled(bootstrap, 30, "json", clients * _PER_CLIENT, clients)
            worker = BenchWorker(run.scratch, topic)
            with worker:
                worker.until_judged(topic.events, timeout_s=300.0)
                worker.kill()
                began = time.perf_counter()
                worker.start()
                worker.until_ready(timeout_s=120.0)
                ready_s = time.perf_counter() - began
                read_s = worker.metric("vedette_recovery_seconds")
            table.row(name, f"{clients:,}", f"{worker.loaded_bytes() / 1e6:,.0f}", f"{read_s:.1f}", f"{ready_s:.1f}")
            run.at_most(f"stream-recovery, {name}", ready_s, GOAL_S)
    run.publish(table)
