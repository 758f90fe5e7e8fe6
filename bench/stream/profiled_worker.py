"""``vedette run`` with a stopwatch on its parts; writes what each cost to a file when it ends.

    python -m bench.stream.profiled_worker REPORT run -c CONFIG

The report: events judged after the first batch (in which loops are compiled), and processor seconds by part in that
time; parts are run in the main thread. ``main`` and ``fetching`` are those of the whole main thread and of the thread
that runs aiokafka's consumer; ``process`` of all threads.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
from aiokafka.producer.sender import Sender

import monitor.codec
import monitor.intake
import monitor.pipeline
from bench.stream.stopwatch import Stopwatch
from detectors.panel import Panel
from detectors.registry import ROW_DETECTORS
from monitor.band_watch import BandWatch
from monitor.bands import PartitionBands
from monitor.changelog import Changelog
from monitor.cli.main import run as run_command
from monitor.counting import Counting
from monitor.dedupe import Dedupe
from monitor.delivery.batch import RecordBatch
from monitor.delivery.thread import BatchConsumerThread
from monitor.group_watch import GroupWatch
from monitor.joint_watch import JointWatch
from monitor.pipeline import PartitionPipeline
from monitor.runtime import Runtime
from monitor.service import Service
from monitor.shift_watch import ShiftWatch
from monitor.suspects import PartitionSuspects
from monitor.windows import PartitionWindows


def put_on(watch: Stopwatch) -> None:
    """The parts, by the names that the table has."""
    watch.watch("decode", monitor.intake, "decode_records")
    watch.watch("validate, columns", monitor.codec, "assemble_requests")
    watch.watch("validate, columns", monitor.pipeline, "to_batches")
    watch.watch("redeliveries", Dedupe, "first_of")
    for kind in ROW_DETECTORS:
        for call in ("score", "learn", "explain"):
            watch.watch(f"detector {kind.info.name}", kind, call)
    watch.watch("alarm, bookkeeping", Panel, "step")
    for call in ("absorb", "passed"):
        watch.watch("windows", PartitionWindows, call)
    watch.watch("windows", Counting, "settle")
    watch.watch("windows", PartitionPipeline, "announce")
    watch.watch("windows", ShiftWatch, "take")
    for call in ("absorb", "announce"):
        watch.watch("across accounts", PartitionBands, call)
        watch.watch("across accounts", PartitionSuspects, call)
    watch.watch("across accounts", BandWatch, "take")
    for watching in (GroupWatch, JointWatch):
        watch.watch("across accounts", watching, "take")
    watch.watch("checkpoint", PartitionPipeline, "delta")
    watch.watch("checkpoint", ShiftWatch, "delta")
    watch.watch_coroutine("checkpoint", Changelog, "save")
    watch.watch("checkpoint", Service, "saved")
    watch.watch("checkpoint", RecordBatch, "ack")
    watch.watch("addresses", Runtime, "_new_addresses")
    watch.watch("take, judge", Runtime, "take")
    watch.watch("take, judge", Runtime, "judge")
    watch.watch_coroutine("produce", Sender, "_sender_routine")
    watch.watch_coroutine("produce", Sender, "_send_produce_req")


class Meter:
    """Snapshots after each batch."""

    def __init__(self, watch: Stopwatch) -> None:
        self._watch = watch
        self._fetching = 0
        self.first: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self._events = self._steps = 0

    def start(self) -> None:
        judge, run = Runtime.judge, BatchConsumerThread._start_thread

        def counted(*args: Any) -> Any:
            result = judge(*args)
            self._events += sum(result.verdicts.values())
            self._steps += 1
            self.last = self._snapshot()
            self.first = self.first or self.last
            return result

        def known(thread: BatchConsumerThread) -> None:
            self._fetching = threading.get_ident()
            run(thread)

        Runtime.judge = counted  # type: ignore[method-assign]  # that is the point
        BatchConsumerThread._start_thread = known  # type: ignore[method-assign]  # the same

    def _snapshot(self) -> dict[str, float]:
        fetching = time.clock_gettime(time.pthread_getcpuclockid(self._fetching)) if self._fetching else 0.0
        process, main = time.process_time(), time.thread_time()
        whole = {"process": process, "main": main, "fetching": fetching, "wall": time.perf_counter()}
        return {"events": self._events, "steps": self._steps, **whole, **self._watch.seconds}

    def report(self) -> dict[str, float]:
        return {part: value - self.first.get(part, 0) for part, value in self.last.items()}


def main() -> None:
    report = Path(sys.argv.pop(1))
    watch = Stopwatch()
    put_on(watch)
    meter = Meter(watch)
    meter.start()
    try:
        run_command()
    finally:
        report.write_bytes(msgspec.json.encode(meter.report()))


if __name__ == "__main__":
    main()
