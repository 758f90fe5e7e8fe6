"""The streaming benchmarks: real workers on real brokers, all default detectors on.

    python -m bench.streaming                            everything, about twenty minutes
    python -m bench.streaming --only stream-latency      a part
    python -m bench.streaming --quick                    smaller, to try it out; RESULTS.md is left alone

Prints tables with permanent ids, each with its goals, and puts them into bench/RESULTS.md:

    stream-transport    records a second handed to user code, next to aiokafka, stock Faust and Quix Streams
    stream-worker       events a second of a whole worker, next to peers that only decode
    stream-checkpoint   what of that checkpoints cost (measured with stream-worker)
    stream-latency      from event to finding, at half of the worker's maximum, measured beside it
    stream-clients      cost of an event and memory with 10^3, 10^5 and 10^6 clients
    stream-recovery     from the start of a worker until it has the state of a killed one
    stream-memory       a day of event time at full speed: does memory grow?
    stream-profile      where the processor time goes

Exit status 1, with a list, where a goal is missed; the figures are published as they are. Brokers are started here: the
embedded one and, for three of the tables, Apache Kafka where Java is. Keep the machine quiet meanwhile.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.stream import clients, drains, latency, memory, profile, recovery, transport
from bench.stream.goals import Run
from monitor.errors import UserError

#: In the order of running.
PARTS: dict[str, Callable[[Run], None]] = {
    "stream-transport": transport.measure,
    "stream-worker": drains.measure,
    "stream-checkpoint": drains.measure,
    "stream-latency": latency.measure,
    "stream-clients": clients.measure,
    "stream-recovery": recovery.measure,
    "stream-memory": memory.measure,
    "stream-profile": profile.measure,
}


def measure(run: Run, ids: list[str]) -> None:
    """Each part of these ids once; one that fails does not keep the others from being measured."""
    began = time.monotonic()
    for part in dict.fromkeys(PARTS[name] for name in PARTS if name in ids):
        names = ", ".join(name for name in PARTS if PARTS[name] is part)
        print(f"[{time.monotonic() - began:4.0f} s] {names} ...", file=sys.stderr, flush=True)
        try:
            part(run)
        except (UserError, OSError, subprocess.SubprocessError) as error:
            run.short.append(f"{names}: could not be measured: {error}")
    print(f"[{time.monotonic() - began:4.0f} s] done", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.streaming", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="a few minutes; nothing is kept, goals may be missed by noise"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="ID", choices=list(PARTS), default=list(PARTS), help="these parts only"
    )
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # workers and brokers end with the blocks
    with tempfile.TemporaryDirectory() as scratch:
        run = Run(Path(scratch), "python -m bench.streaming", quick=args.quick)
        measure(run, args.only)
    for line in run.short:
        print(f"falls short: {line}", file=sys.stderr)
    return 1 if run.short else 0


if __name__ == "__main__":
    sys.exit(main())
