"""panel: what the row detectors cost, in time per row and in memory, as the number of clients grows.

    python -m bench.panel            prints the tables and updates bench/RESULTS.md

Batches of 2000 rows, clients in random order, the detectors that are on by default. One core: times are processor time
of this process, the median over batches after the first tenth.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from threadpoolctl import threadpool_limits

from bench.results import Table, publish
from bench.traffic import tabular_events
from detectors.alone import Alone
from detectors.baseline import Baseline, ModelBaseline
from detectors.batch import EventBatch
from detectors.calibration import calibrate
from detectors.finding import Finding
from detectors.panel import Panel
from detectors.registry import ROW_DETECTORS
from monitor.columns import to_batches
from monitor.settings import Detection

ID = "panel"
BATCH_ROWS = 2000
#: Batches between two checkpoints.
CHECKPOINT = 5
BUDGET = 0.01
OFF = Detection().disabled


@dataclass
class Measured:
    """Of one case; times in microseconds, memory in bytes."""

    per_row: float
    per_client_bytes: float
    delta_per_client: float
    clients: int
    restore_s: float


def calibrated(path: Path, d: int) -> Path:
    [clean] = to_batches(tabular_events(6000, d, clients=60, seed=1))
    calibrate({clean.model: clean}, window_detectors=lambda _: ())[0].save(path)
    return path


def batches(rows: int, d: int, clients: int) -> Iterator[EventBatch]:
    """Each client asks as often as one of the clean traffic, every six seconds."""
    duration_s = BATCH_ROWS * 6.0 / clients
    for i in range(rows // BATCH_ROWS):
        [batch] = to_batches(tabular_events(BATCH_ROWS, d, clients, seed=2 + i, duration_s=duration_s))
        yield replace(batch, ts=batch.ts + i * duration_s)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def ignored(_: Finding) -> bool:
    return False


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.process_time()
    result = work()
    return result, time.process_time() - started


def measure(path: Path, rows: int, d: int, clients: int) -> Measured:
    """One case, in a process of its own: what another one left in memory would blur the figures."""
    baseline = Baseline.load(path).models["tabular"]
    panel = Panel("tabular", baseline, BUDGET, OFF)
    steps, deltas, changed, store = [], [], set[str](), dict[str, bytes]()
    before, held = 0, 0
    for i, batch in enumerate(batches(rows, d, clients)):
        steps.append(timed(lambda batch=batch: panel.step(batch, ignored))[1])
        changed.update(batch.clients)
        if i == 0:
            # From here on what grows is the clients' state: code is compiled, and buffers are there.
            before, held = resident_bytes(), len(panel)
        if i % CHECKPOINT == CHECKPOINT - 1:
            delta, seconds = timed(panel.delta)
            deltas.append(seconds / len(changed))
            changed.clear()
            for name, chunk in delta.items():
                store.pop(name, None) if chunk is None else store.update({name: chunk})
    stored = sum(map(len, store.values()))
    grew = resident_bytes() - before - stored
    again = Panel("tabular", baseline, BUDGET, OFF)
    return Measured(
        per_row=float(np.median(steps[len(steps) // 10 + 1 :])) / BATCH_ROWS * 1e6,
        per_client_bytes=grew / max(len(panel) - held, 1),
        delta_per_client=float(np.median(deltas)) * 1e6,
        clients=len(panel),
        restore_s=timed(lambda: again.restore(store))[1],
    )


def shares(baseline: ModelBaseline, d: int) -> dict[str, float]:
    """Microseconds a row of each detector by itself, scoring and learning; nothing is shared between them here."""
    parts = list(batches(10 * BATCH_ROWS, d, 200))
    found = {}
    for kind in ROW_DETECTORS:
        if kind.info.name in OFF:
            continue
        alone = Alone(kind(baseline.params[kind.info.name]))
        times = []
        for batch in parts:
            rows = alone.rows(batch)
            times.append(timed(lambda rows=rows, alone=alone: alone.detector.score(rows))[1])
            times[-1] += timed(lambda rows=rows, alone=alone: alone.detector.learn(rows))[1]
        found[kind.info.name] = float(np.median(times[1:])) / BATCH_ROWS * 1e6
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most-clients", type=int, default=1_000_000, help="leave out cases with more (default 1e6)")
    args = parser.parse_args()
    cases = [(d, clients) for d in (30, 64, 784) for clients in (200, 1_000, 100_000)]
    cases.insert(3, (30, 1_000_000))
    cases = [case for case in cases if case[1] <= args.most_clients]
    table = Table(
        ID,
        "Row detectors in one process: microseconds a row of Panel.step, memory and checkpoints",
        ("features", "clients", "µs a row", "bytes a client", "checkpoint, µs a changed client", "restore, s"),
    )
    with tempfile.TemporaryDirectory() as scratch:
        baselines = {d: calibrated(Path(scratch) / f"{d}.vdb", d) for d in (30, 64, 784)}
        for d, clients in track(cases, "measuring", console=Console(stderr=True)):
            rows = max(3 * clients, 60_000) if d < 784 else min(max(3 * clients, 60_000), 100_000)
            with ProcessPoolExecutor(1, get_context("spawn"), threadpool_limits, (1,)) as process:
                measured = process.submit(measure, baselines[d], rows, d, clients).result()
            table.row(
                str(d),
                f"{measured.clients:,}",
                f"{measured.per_row:.1f}",
                f"{measured.per_client_bytes:,.0f}" if clients >= 100_000 else "-",
                f"{measured.delta_per_client:.2f}",
                f"{measured.restore_s:.2f}",
            )
        each = {d: shares(Baseline.load(path).models["tabular"], d) for d, path in baselines.items()}
    table.notes = (
        "Bytes a client: growth of resident memory, for clients with about three queries each. Checkpoints rewrite old "
        "chunks as they go. Each detector by itself, µs a row (in a panel, coverage and noise_residue share most of "
        "their work): "
        + "; ".join(f"{d} features: " + ", ".join(f"{n} {us:.1f}" for n, us in each[d].items()) for d in each)
        + "."
    )
    publish(table, "python -m bench.panel")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
