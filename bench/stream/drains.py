"""stream-worker and stream-checkpoint: how fast a worker empties a topic, next to peers that only decode it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from bench.results import Table
from bench.stream.goals import Run
from bench.stream.topics import Filled, filled
from bench.stream.worker import BenchWorker, Rate, drain
from replay.embedded_broker import EmbeddedBroker

ROOT = Path(__file__).parent.parent.parent
PEER_SHARE = 0.35
CHECKPOINT_SHARE = 0.10
_NEVER_S = 3600.0


class Case(NamedTuple):
    d: int
    form: str
    events: int
    quick: int
    #: Events a second and core; None: not promised.
    goal: float | None
    #: Whether the share of the typed peer is promised.
    against_peer: bool = False

    @property
    def name(self) -> str:
        return f"{self.d} {self.form}"


CASES = (
    Case(30, "json", 300_000, 40_000, 40_000, against_peer=True),
    Case(30, "compact", 400_000, 60_000, None),
    Case(784, "json", 50_000, 10_000, 8_000),
    Case(784, "compact", 100_000, 20_000, 15_000),
)


def best(rates: list[Rate]) -> Rate:
    return Rate(max(r.events_s for r in rates), max(r.per_core for r in rates))


def peer(way: str, topic: Filled) -> Rate:
    """Of one run of ``bench.peers.decode``."""
    command = [sys.executable, "-m", "bench.peers.decode", way, topic.bootstrap, topic.name, str(topic.events)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=300, check=True)
    report = json.loads(done.stdout)
    return Rate(report["events"] / report["seconds"], report["events"] / report["cpu_s"])


def maximum(run: Run, bootstrap: str) -> float:
    """Events a second of one worker on JSON with 30 features, now and on this broker."""
    case = CASES[0]
    topic = filled(bootstrap, case.d, case.form, run.size(case.events, case.quick))
    return drain(BenchWorker(run.scratch, topic), topic.events).events_s


def measure(run: Run) -> None:
    """Both tables."""
    table = Table(
        "stream-worker",
        "Events a second of a whole worker on a topic filled before, all default detectors on",
        (
            "features",
            "form",
            "worker",
            "worker, a core",
            "typed decode + NumPy",
            "untyped decode",
            "worker / typed",
            "worker / untyped",
        ),
        notes="Best of the rounds, which take turns. A core: events per second of processor time of all threads of the "
        "process. Compact: 20 requests a record. The peers read the same topic with aiokafka's getmany and msgspec and "
        "keep nothing: typed decodes to a struct, and the inputs to a float32 array, as any detector needs them; "
        f"untyped to whatever msgspec makes of it. Goals: {PEER_SHARE} of the typed peer for JSON with 30 features, "
        "and events a core "
        + ", ".join(f"{c.goal:,.0f} ({c.name})" for c in CASES if c.goal)
        + ". The share of the untyped peer is shown beside it and no goal counts against it.",
    )
    for case in CASES:
        with EmbeddedBroker() as broker:
            topic = filled(broker.bootstrap, case.d, case.form, run.size(case.events, case.quick))
            rounds = run.size(2, 1)
            ours: list[Rate] = []
            seldom: list[Rate] = []
            peers: dict[str, list[Rate]] = {"typed": [], "untyped": []}
            for _ in range(rounds + case.against_peer):
                ours.append(drain(BenchWorker(run.scratch, topic), topic.events))
                if case.against_peer:
                    seldom.append(drain(BenchWorker(run.scratch, topic, checkpoint_s=_NEVER_S), topic.events))
                for way, rates in peers.items():
                    rates.append(peer(way, topic))
        worker, typed, untyped = best(ours), best(peers["typed"]), best(peers["untyped"])
        figures = (worker.events_s, worker.per_core, typed.events_s, untyped.events_s)
        shares = (worker.events_s / typed.events_s, worker.events_s / untyped.events_s)
        table.row(str(case.d), case.form, *(f"{f:,.0f}" for f in figures), *(f"{s:.2f}" for s in shares))
        if case.goal:
            run.at_least(f"stream-worker, {case.name}, events a core", worker.per_core, case.goal)
        if case.against_peer:
            run.at_least(f"stream-worker, {case.name}, worker / typed", shares[0], PEER_SHARE)
            _checkpoints(run, worker, best(seldom))
    run.publish(table)


def _checkpoints(run: Run, every_second: Rate, seldom: Rate) -> None:
    share = 1.0 - every_second.events_s / seldom.events_s
    share_core = 1.0 - every_second.per_core / seldom.per_core
    table = Table(
        "stream-checkpoint",
        "What checkpoints cost a worker on JSON with 30 features",
        ("checkpoint_s", "events/s", "events/s a core", "share of wall clock", "share of processor time"),
        notes=f"Best of the rounds of stream-worker. Share: of the time that the same events take without checkpoints "
        f"at all, how much less is done. Goal: at most {CHECKPOINT_SHARE:.0%} of either.",
    )
    table.row(
        "1", f"{every_second.events_s:,.0f}", f"{every_second.per_core:,.0f}", f"{share:.1%}", f"{share_core:.1%}"
    )
    table.row(f"{_NEVER_S:.0f}", f"{seldom.events_s:,.0f}", f"{seldom.per_core:,.0f}", "-", "-")
    run.publish(table)
    run.at_most("stream-checkpoint, share of wall clock", share, CHECKPOINT_SHARE)
    run.at_most("stream-checkpoint, share of processor time", share_core, CHECKPOINT_SHARE)
