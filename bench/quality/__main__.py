"""Query-pattern attacks and honest clients: what the default detectors, Blacklight and PRADA say of each; and what it
costs attackers who know the detectors to stay unfound (``bench.quality.adaptive``).

    python -m bench.quality [--quick] [--seeds 5] [--sets mnist,tumours,claims] [--jobs 2]

Prints the tables, keeps them in bench/RESULTS.md, and exits with 1, and a list, where a figure falls short.
``--quick``: one seed of one data set, nothing kept.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from threadpoolctl import threadpool_limits

from bench.quality.adaptive import SEEDS, publish_adaptive
from bench.quality.evasion.trials import SETS as ADAPTIVE_SETS
from bench.quality.evasion.trials import trials
from bench.quality.judge import judged
from bench.quality.recordings import SETS
from bench.quality.scores import Scored
from bench.quality.tables import publish_all
from bench.stream.goals import Run
from replay.simulate.datasets import data_set


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--jobs", type=int, default=1, help="recordings at a time; timings are best with one")
    args = parser.parse_args()
    names = args.sets.split(",")
    unknown = [name for name in names if name not in SETS]
    if unknown:
        parser.error(f"no data set {', '.join(unknown)}; there are {', '.join(SETS)}")
    if args.quick:
        names, args.seeds = names[:1], 1
    command = f"python -m bench.quality --seeds {args.seeds} --sets {','.join(names)}"
    cases = [(name, seed) for name in names for seed in range(1, args.seeds + 1)]
    results: dict[tuple[str, int], list[Scored]] = {}
    with ProcessPoolExecutor(args.jobs, get_context("spawn"), threadpool_limits, (1,)) as processes:
        waiting = {processes.submit(judged, *case): case for case in cases}
        for done, future in enumerate(as_completed(waiting), start=1):
            results[waiting[future]] = future.result()
            name, seed = waiting[future]
            print(f"{done} of {len(cases)} recordings judged: {name}, seed {seed}", file=sys.stderr, flush=True)
        adaptive = [
            processes.submit(trials, name, min(args.seeds, SEEDS), args.quick)
            for name in names
            if name in ADAPTIVE_SETS
        ]
        evading = [trial for future in adaptive for trial in future.result()]
    scored = [one for case in cases for one in results[case]]
    with tempfile.TemporaryDirectory() as scratch:
        run = Run(Path(scratch), command, args.quick)
        publish_all(run, scored, {name: data_set(name).space.features for name in names})
        if evading:
            publish_adaptive(run, evading)
    if run.short:
        print("falls short:\n  " + "\n  ".join(run.short), file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
