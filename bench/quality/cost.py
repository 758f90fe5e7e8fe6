"""What a query costs: the default detectors, Blacklight and PRADA on the same recordings, one at a time.

    python -m bench.quality.cost [--quick] [--seeds 1] [--sets mnist,tumours,claims]

Prints the table, keeps it in bench/RESULTS.md, and exits with 1 where a query costs more than the goal.
``--quick``: one seed of one data set, nothing kept.
"""

from __future__ import annotations

import sys
from statistics import median
from typing import Final

from bench.quality.command import asked, settle
from bench.quality.methods import DEFAULT_BUDGET, VEDETTE, calibrated, events_of, replayed, run_blacklight, run_prada
from bench.quality.recordings import SETS, recorded
from bench.results import Table
from replay.simulate.datasets import data_set

CALM: Final = f"{VEDETTE}, honest clients alone"
#: Microseconds a query, by number of features from which on it holds.
GOAL_US: Final = {784: 25.0, 0: 8.0}


def measured(name: str, seed: int) -> dict[str, float]:
    """Microseconds of processor time a query, by method and traffic."""
    recording = recorded(name, seed)
    events, innocent = events_of(recording.attacked), recording.truth.honest
    honest = [event for event in events if event.client_id in innocent]
    baseline = calibrated(recording.clean)
    replayed(baseline, events[:2000], DEFAULT_BUDGET)  # compiled before the clock starts
    calm = replayed(baseline, honest, DEFAULT_BUDGET)
    attacked = [replayed(baseline, events, DEFAULT_BUDGET)]
    attacked += [said for method in (run_blacklight, run_prada) for said in method(recording, events)]
    return {CALM: calm.us_per_query} | {f"{said.method}, under attack": said.us_per_query for said in attacked}


def main() -> None:
    args = asked("bench.quality.cost", __doc__, SETS, 1, quick_set=0)
    by_set: dict[str, list[dict[str, float]]] = {}
    settle()
    for name in args.sets:
        for seed in range(1, args.seeds + 1):
            by_set.setdefault(name, []).append(measured(name, seed))
            print(f"measured: {name}, seed {seed}", file=sys.stderr, flush=True)
    columns = list(by_set[args.sets[0]][0])
    table = Table(
        "quality-cost",
        "Microseconds of processor time a query, median over seeds",
        ("data set", "features", *columns),
        notes="Vedette: row detectors and alarm, batches of 2000. Under attack half of all queries are attackers', "
        "none of whom is stopped when it is found: each goes on being found, with the evidence for every finding. "
        f"Goals: {CALM}, {GOAL_US[784]:g} from 784 features on, {GOAL_US[0]:g} below.",
    )
    with args.run() as run:
        for name, found in by_set.items():
            features = data_set(name).space.features
            us = {column: median(one[column] for one in found) for column in columns}
            table.row(name, str(features), *(f"{us[column]:.1f}" for column in columns))
            goal = next(goal for least, goal in GOAL_US.items() if features >= least)
            run.at_most(f"quality-cost, {name}", us[CALM], goal)
        run.publish(table)


if __name__ == "__main__":
    main()
