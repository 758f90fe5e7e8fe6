"""Query-pattern attacks and honest clients: what the default detectors, Blacklight and PRADA say of each; and what it
costs attackers who know the detectors to stay unfound (``bench.quality.adaptive``). What each costs us is measured by
``bench.quality.cost``, with nothing beside it.

    python -m bench.quality [--quick] [--seeds 5] [--sets mnist,tumours,claims] [--jobs 2]

Prints the tables, keeps them in bench/RESULTS.md, and exits with 1, and a list, where a figure falls short.
``--quick``: one seed of one data set, nothing kept.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from threadpoolctl import threadpool_limits

from bench.quality.adaptive import SEEDS, publish_adaptive
from bench.quality.command import asked
from bench.quality.evasion.trials import SETS as ADAPTIVE_SETS
from bench.quality.evasion.trials import trials
from bench.quality.judge import judged
from bench.quality.recordings import SETS
from bench.quality.scores import Scored
from bench.quality.tables import publish_all


def main() -> None:
    args = asked("bench.quality", __doc__, SETS, 5, quick_set=0, jobs_help="recordings at a time")
    cases = [(name, seed) for name in args.sets for seed in range(1, args.seeds + 1)]
    results: dict[tuple[str, int], list[Scored]] = {}
    with ProcessPoolExecutor(args.jobs, get_context("spawn"), threadpool_limits, (1,)) as processes:
        waiting = {processes.submit(judged, *case): case for case in cases}
        for done, future in enumerate(as_completed(waiting), start=1):
            results[waiting[future]] = future.result()
            name, seed = waiting[future]
            print(f"{done} of {len(cases)} recordings judged: {name}, seed {seed}", file=sys.stderr, flush=True)
        adaptive = [
            processes.submit(trials, name, min(args.seeds, SEEDS), args.quick)
            for name in args.sets
            if name in ADAPTIVE_SETS
        ]
        evading = [trial for future in adaptive for trial in future.result()]
    scored = [one for case in cases for one in results[case]]
    with args.run() as run:
        publish_all(run, scored)
        if evading:
            publish_adaptive(run, evading)


if __name__ == "__main__":
    main()
