"""stream-profile: where the processor time of a worker goes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec

from bench.results import Table
from bench.stream.drains import CASES, ROOT
from bench.stream.goals import Run
from bench.stream.topics import Filled, filled
from bench.stream.worker import BenchWorker, drain
from replay.embedded_broker import EmbeddedBroker

ID = "stream-profile"
#: What is no part but the sum of some, or no time.
_WHOLES = ("events", "steps", "process", "main", "fetching", "wall")
_PARTS_FIRST = ("decode", "validate, columns", "redeliveries")


class ProfiledWorker(BenchWorker):
    """The same worker with a stopwatch on its parts; ``report`` is there when it has ended."""

    def start(self) -> None:
        command = [sys.executable, "-m", "bench.stream.profiled_worker", str(self._report_file), "run", "-c"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([*command, str(self.config)], cwd=ROOT, stdout=log, stderr=log)

    @property
    def _report_file(self) -> Path:
        return self.config.with_name("profile.json")

    def report(self) -> dict[str, float]:
        """Microseconds an event by part; ``process`` is the sum."""
        raw = msgspec.json.decode(self._report_file.read_bytes(), type=dict[str, float])
        us = {part: seconds / raw["events"] * 1e6 for part, seconds in raw.items()}
        parts = {part: value for part, value in us.items() if part not in _WHOLES}
        parts["rest of the main thread (Faust, the event loop, coroutines)"] = us["main"] - sum(parts.values())
        parts["fetching thread (aiokafka)"] = us["fetching"]
        parts["other threads"] = us["process"] - us["main"] - us["fetching"]
        return {**parts, "all": us["process"]}


def profiled(run: Run, topic: Filled) -> dict[str, float]:
    worker = ProfiledWorker(run.scratch, topic)
    drain(worker, topic.events)
    return worker.report()


def measure(run: Run) -> None:
    found: dict[str, dict[str, float]] = {}
    for case in CASES:
        with EmbeddedBroker() as broker:
            topic = filled(broker.bootstrap, case.d, case.form, run.size(case.events // 2, case.quick))
            found[case.name] = profiled(run, topic)
    table = Table(
        ID,
        "Where the processor time of a worker goes, µs an event",
        ("part", *found),
        notes="Runs of their own, with a stopwatch on the parts, which costs a little itself. Each moment counts for "
        "the innermost part. Alarm, bookkeeping: what Panel.step does besides calling detectors (rows, clients, "
        "quotas, evidence). Checkpoint: collecting, packing and sending state, and offsets. Produce: aiokafka's "
        "sending of state, shares and findings.",
    )
    parts = dict.fromkeys([*_PARTS_FIRST, *(part for report in found.values() for part in report)])
    last = list(next(iter(found.values())))[-4:]
    for part in [*(p for p in parts if p not in last), *last]:
        table.row(part, *(f"{report.get(part, 0.0):.2f}" for report in found.values()))
    run.publish(table)
