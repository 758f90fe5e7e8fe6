"""Attackers who know the detectors: what it costs to disguise an attack so that it works and is not found.

    python -m bench.quality.adaptive [--quick] [--seeds 3] [--sets mnist,tumours] [--jobs 2]

Prints the table, keeps it in bench/RESULTS.md, and exits with 1 where evading costs less than the goal.
``--quick``: one seed of one data set and a few strategies, nothing kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Final

from bench.quality.command import asked
from bench.quality.evasion.attempt import LEAST_QUERIES, PLAIN_QUERIES, SLACK
from bench.quality.evasion.campaign import MOST_TIMES
from bench.quality.evasion.cost import Trial, cheapest, least_of_one
from bench.quality.evasion.trials import SETS, trials
from bench.results import Table
from bench.stream.goals import Run

ID: Final = "quality-adaptive"
#: Queries of an attack that works and is not found, as a multiple of those of the plain attack.
GOAL_COST: Final = 10.0
SEEDS: Final = 3


def publish_adaptive(run: Run, done: Sequence[Trial]) -> None:
    """The table of all trials, and the goal for each data set and attack."""
    cases = list(dict.fromkeys((trial.data_set, trial.attack) for trial in done))
    table = Table(
        ID,
        "Attacks in disguise, by attackers who know the detectors but not their secrets: trials that work, cost factor "
        "in queries; trials found, queries until then, by which detector",
        ("disguise", *(f"{attack}, {data_set}" for data_set, attack in cases)),
    )
    least, lucky = ["**least cost factor to evade**"], ["least of any one trial that evades"]
    by_case = {case: [trial for trial in done if (trial.data_set, trial.attack) == case] for case in cases}
    for strategy in dict.fromkeys(trial.strategy for trial in done):
        mine = ([trial for trial in by_case[case] if trial.strategy == strategy] for case in cases)
        table.row(strategy.name, *(_cell(some) for some in mine))
    for data_set, attack in cases:
        best = cheapest(by_case[data_set, attack])
        least.append(f"**{best.cost:.1f}** ({best.strategy.name})" if best else f"**> {MOST_TIMES}**, none evaded")
        single = least_of_one(by_case[data_set, attack])
        lucky.append("-" if single is None else f"{single:.1f}")
        run.at_least(f"{ID}, {attack} on {data_set}", best.cost if best else MOST_TIMES, GOAL_COST)
    table.row(*least)
    table.row(*lucky)
    table.notes = (
        f"An attack works if it comes as near to its victim (Euclidean, within a factor of {SLACK:g}) as the plain one "
        f"in {PLAIN_QUERIES} queries, before it has sent {MOST_TIMES} times the queries that the plain one took for "
        f"that; what it has reached is judged without the disguise and costs it no query. Victims with which the plain "
        f"one is done in fewer than {LEAST_QUERIES} are passed over. The cost factor is the median of those that work, "
        "decoys included, a victim. A strategy evades if more than half of its trials work and are not found until "
        "they are done. Default detectors and budget; answers show no reaction. Noise in units of full scale "
        "(pictures) or of a feature's standard deviation; clean sensors have 0.01 to 0.06. Mean of n: each query goes "
        "out in n disguises. Guided by it: the attack is rewritten to learn from the noise it adds. "
        f"Goal: {GOAL_COST:g}."
    )
    run.publish(table)


def _cell(trials_of_one: Sequence[Trial]) -> str:
    if not trials_of_one:
        return "-"
    n = len(trials_of_one)
    costs = [trial.cost for trial in trials_of_one if trial.works]
    after = [trial.found_after for trial in trials_of_one if trial.found_after is not None]
    works = f"works {len(costs)}/{n}" + (f" at {median(costs):.1f}" if costs else "")
    if not after:
        return f"{works}; found 0/{n}"
    by = Counter(trial.by for trial in trials_of_one if trial.by).most_common(1)[0][0]
    return f"{works}; found {len(after)}/{n} after {median(after):.0f}, {by}"


def main() -> None:
    args = asked("bench.quality.adaptive", __doc__, SETS, SEEDS, quick_set=-1, jobs_help="data sets at a time")
    with args.processes() as processes:
        waiting = [processes.submit(trials, name, args.seeds, args.quick) for name in args.sets]
        done = [trial for future in waiting for trial in future.result()]
    with args.run() as run:
        publish_adaptive(run, done)


if __name__ == "__main__":
    main()
