"""A real ``vedette run`` on a topic that was filled before, and how fast it empties it."""

from __future__ import annotations

import os
import re
import time
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench.stream.topics import Filled, baseline
from replay.demo.worker import WorkerError, WorkerProcess
from replay.embedded_broker import free_port

#: Asking costs the worker some milliseconds.
_POLL_S = 0.2
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Rate:
    """Events a second of wall clock, and of processor time of all threads of the process."""

    events_s: float
    per_core: float


class BenchWorker(WorkerProcess):
    """A worker with topics, group and data folder of its own; defaults but for ``stream``.

    It never looks less closely, however far behind it is: what is measured is the work of all detectors on all events.
    """

    def __init__(self, scratch: Path, topic: Filled, **stream: Any) -> None:
        name = uuid.uuid4().hex[:8]
        folder = scratch / name
        folder.mkdir()
        self.topic = topic
        self.data = folder / "data"
        self.port = free_port()
        self.findings = f"findings-{name}"
        kinds = ("dead_letters", "state", "windows", "bands", "by_client")
        internal = {kind: {"name": f"{kind}-{name}"} for kind in kinds}
        config = {
            "data_dir": str(self.data),
            "kafka": {"brokers": [topic.bootstrap], "group": f"group-{name}"},
            "topics": {"events": {"name": topic.name}, "findings": {"name": self.findings}, **internal},
            "detection": {"baseline": str(baseline(scratch, topic.d))},
            "stream": {"max_future_s": None, "overload": {"max_level": 0}, **stream},
            "web": {"port": self.port},
        }
        self.config = folder / "vedette.yaml"
        self.config.write_bytes(msgspec.yaml.encode(config))
        self.log = folder / "worker.log"
        #: The most memory that it ever had, and what it had at the end; known once it has been stopped.
        self.peak_bytes = self.resident_bytes = 0
        super().__init__(self.config, self.port, self.log)

    def stop(self, timeout_s: float = 20.0) -> int | None:
        if self.exit_code is None:
            self.resident_bytes, self.peak_bytes = self.memory()
        return super().stop(timeout_s)

    def memory(self) -> tuple[int, int]:
        """Resident bytes now, and the most there ever were of this process."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        now, peak = (re.search(rf"{name}:\s+(\d+) kB", status) for name in ("VmRSS", "VmHWM"))
        assert now
        assert peak
        return int(now[1]) * 1024, int(peak[1]) * 1024

    def judged(self) -> int:
        """Verdicts given so far, checkpointed or not; 0 while it does not answer."""
        return int(self.metric("vedette_events_total"))

    def metric(self, name: str) -> float:
        """The sum over its labels; 0 while the worker does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5.0) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return 0.0
        return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(rf"{name}[ {{]", line))

    def loaded_bytes(self) -> int:
        """State that workers here have read at their start, as their log says."""
        return sum(map(int, re.findall(r"state loaded .*?bytes=(\d+)", self.log.read_text(encoding="utf-8"))))

    def cpu_s(self) -> float:
        """Processor time of all threads, in user and system mode."""
        after_name = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / _TICKS_PER_S


def drain(worker: BenchWorker, events: int, timeout_s: float = 300.0) -> Rate:
    """Between the first and the last time that it was seen at work; starting up and compiling count for nothing.

    Raises WorkerError if not every event gets a verdict in time.
    """
    seen: list[tuple[int, float, float]] = []
    deadline = time.monotonic() + timeout_s
    with worker:
        while not seen or seen[-1][0] < events:
            if time.monotonic() > deadline:
                raise WorkerError(f"{seen[-1][0] if seen else 0} of {events} events were judged in {timeout_s:g} s")
            time.sleep(_POLL_S)
            if judged := worker.judged():  # a busy worker answers late: the clocks are read when it has
                seen.append((judged, time.perf_counter(), worker.cpu_s()))
    at_work = [s for s in seen if s[0] < events] or seen
    (first, began, cpu_began), (last, ended, cpu_ended) = at_work[0], at_work[-1]
    if last == first:
        raise WorkerError(f"{events} events are too few to see the worker at work")
    return Rate((last - first) / (ended - began), (last - first) / (cpu_ended - cpu_began))
