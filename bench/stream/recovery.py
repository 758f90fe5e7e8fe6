"""stream-recovery: a worker with the state of many clients is killed; how long until its successor is ready."""

from __future__ import annotations

import shutil
import time

from bench.results import Table
from bench.stream.brokers import brokers
from bench.stream.goals import Run
from bench.stream.topics import filled
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
        ("broker of the changelog", "data folder", "clients", "state loaded, MB", "reading state, s", "ready after, s"),
        notes=f"By default settings. With a new data folder, as on another machine, the group waits for the dead "
        f"worker's session, {Kafka().session_timeout_s:g} s, to end; with the embedded broker it always does, and half "
        "a session goes by whenever a member joins. Ready: /readyz says so, partitions are assigned and state is "
        f"loaded. JSON, 30 features, about {_PER_CLIENT} events a client. Goal: at most {GOAL_S:g} s.",
    )
    for name, bootstrap in brokers():
        topic = filled(bootstrap, 30, "json", clients * _PER_CLIENT, clients)
        for folder in ("its own", "new"):
            ready_s, read_s, loaded_bytes = _recovered(BenchWorker(run.scratch, topic), folder == "new")
            table.row(name, folder, f"{clients:,}", f"{loaded_bytes / 1e6:,.0f}", f"{read_s:.1f}", f"{ready_s:.1f}")
            run.at_most(f"stream-recovery, {name}, {folder} folder", ready_s, GOAL_S)
    run.publish(table)


def _recovered(worker: BenchWorker, elsewhere: bool) -> tuple[float, float, int]:
    """Seconds until a successor is ready, those of them that it read state for, and how many bytes of state."""
    with worker:
        worker.until_judged(worker.topic.events, timeout_s=300.0)
        worker.kill()
        if elsewhere:
            shutil.rmtree(worker.data)
        began = time.perf_counter()
        worker.start()
        worker.until_ready(timeout_s=120.0)
        ready_s = time.perf_counter() - began
        read_s = worker.metric("vedette_recovery_seconds")
    return ready_s, read_s, worker.loaded_bytes()
