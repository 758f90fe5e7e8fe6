"""Query-pattern attacks and honest clients: what the default detectors, Blacklight and PRADA say of each; and what it
costs attackers who know the detectors to stay unfound (``bench.quality.adaptive``). What each costs us is measured by
``bench.quality.cost``, with nothing beside it; which detector finds what is told by ``bench.quality.finders``; and how
it is on embeddings by ``bench.quality.embeddings``.

    python -m bench.quality [--quick] [--seeds 5] [--sets mnist,tumours,claims] [--jobs 2]

Prints the tables, keeps them in bench/RESULTS.md, and exits with 1, and a list, where a figure falls short.
``--quick``: one seed of one data set, nothing kept.
"""

from __future__ import annotations

from bench.quality.adaptive import SEEDS, publish_adaptive
from bench.quality.command import asked
from bench.quality.evasion.trials import SETS as ADAPTIVE_SETS
from bench.quality.evasion.trials import trials
from bench.quality.judge import judged
from bench.quality.recordings import SETS
from bench.quality.tables import publish_all


def main() -> None:
    args = asked("bench.quality", __doc__, SETS, 5, quick_set=0, jobs_help="recordings at a time")
    scored = [one for said in args.each(judged) for one in said]
    with args.processes() as processes:
        adaptive = [
            processes.submit(trials, name, min(args.seeds, SEEDS), args.quick)
            for name in args.sets
            if name in ADAPTIVE_SETS
        ]
        evading = [trial for future in adaptive for trial in future.result()]
    with args.run() as run:
        publish_all(run, scored)
        if evading:
            publish_adaptive(run, evading)


if __name__ == "__main__":
    main()
