"""hot-path: microseconds per event from record bytes to verdicts and window sums, without the detectors' panel.

    python -m bench.hot_path            prints the table and updates bench/RESULTS.md

Parts: ``decode_records``; events to columnar batches; redeliveries; sums of model windows. "All" is records in, step
result out, with a panel that finds nothing at once. The peer is what any consumer pays: msgspec into typed structs, and
the inputs into NumPy arrays. Processor time of one thread, the best of several runs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import patch

import msgspec
import numpy as np
from rich.console import Console
from rich.progress import track

from bench.results import Table, publish
from bench.traffic import encoded, tabular_events
from detectors.batch import EventBatch
from detectors.calibration import calibrate
from detectors.panel import Panel
from monitor.codec import Limits, decode_records
from monitor.codec.plain import plain_frames
from monitor.codec.wire import PlainCompact, PlainJson
from monitor.columns import to_batches
from monitor.config import parse
from monitor.core import Core, load_core
from monitor.dedupe import Dedupe
from monitor.intake import Record, take
from monitor.pipeline import PartitionPipeline
from monitor.windows import PartitionWindows

ID = "hot-path"
_RUNS = 7
_LIMITS = Limits()


def best_us(do: Callable[[], object], events: int) -> float:
    """Microseconds of processor time per event."""
    best = float("inf")
    for _ in range(_RUNS):
        started = time.process_time()
        do()
        best = min(best, time.process_time() - started)
    return best / events * 1e6


def peer(values: Sequence[bytes], form: str) -> list[np.ndarray]:
    """Typed decode and NumPy inputs, nothing checked, nothing kept."""
    if form == "json":
        json = msgspec.json.Decoder(PlainJson)
        return [np.asarray(json.decode(raw).inputs, dtype=np.float32) for raw in values]
    pack = msgspec.msgpack.Decoder(PlainCompact)
    frames = [frame for raw in values for frame in plain_frames(raw, _LIMITS) or []]
    return [np.frombuffer(pack.decode(frame).inputs, dtype="<f4") for frame in frames]


def _nothing_found(_: Panel, batch: EventBatch, on_finding: object) -> np.ndarray:  # noqa: ARG001 - the panel's signature
    return np.zeros(len(batch), dtype=np.int8)


def measure(core: Core, values: Sequence[bytes], form: str) -> list[float]:
    """Decode, columns, redeliveries, windows, all together, peer; microseconds per event each."""
    events = decode_records(values, _LIMITS).events
    n = len(events)
    [batch] = to_batches(events)
    models, ids = [e.model for e in events], [e.id for e in events]
    newest = np.maximum.accumulate(batch.ts)
    records = [Record("t", 0, i, b"k", value) for i, value in enumerate(values)]

    def whole() -> None:
        PartitionPipeline(core, {}).process(take("t", 0, records, 0, _LIMITS, None).events)

    with patch.object(Panel, "step", _nothing_found):
        return [
            best_us(lambda: decode_records(values, _LIMITS), n),
            best_us(lambda: to_batches(events), n),
            best_us(lambda: Dedupe(600.0).first_of(models, ids, batch.ts, newest), n),
            best_us(lambda: PartitionWindows(core.window_plan).absorb(batch, newest), n),
            best_us(whole, n),
            best_us(lambda: peer(values, form), n),
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=2000, help="events of one step (default 2000)")
    args = parser.parse_args()
    table = Table(
        ID,
        "Microseconds per event from bytes to window sums, without the detectors' panel",
        (
            "features",
            "form",
            "decode",
            "columns",
            "redeliveries",
            "windows",
            "all",
            "typed decode + NumPy",
            "all / peer",
        ),
        notes="Compact: up to 20 requests a record. All: records to verdicts in steps of as many events as measured.",
    )
    with tempfile.TemporaryDirectory() as scratch:
        for d in track((30, 784), "measuring", console=Console(stderr=True)):
            path = Path(scratch) / f"baseline-{d}.vdb"
            [clean] = to_batches(tabular_events(6000, d, clients=60, seed=1))
            calibrate({clean.model: clean})[0].save(path)
            core = load_core(parse({"detection": {"baseline": str(path)}}))
            events = tabular_events(args.events, d, clients=100, seed=2, duration_s=60.0)
            for form in ("json", "compact"):
                figures = measure(core, [r.value for r in encoded(events, form)], form)
                table.row(str(d), form, *(f"{us:.2f}" for us in figures), f"{figures[-2] / figures[-1]:.2f}")
    publish(table, f"python -m bench.hot_path --events {args.events}")


if __name__ == "__main__":
    main()
