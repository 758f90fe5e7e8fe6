"""Every strategy against one data set's model, watched by detectors calibrated on its clean recording."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Final

from bench.quality.evasion.attempt import Task, Yardstick, yardstick
from bench.quality.evasion.campaign import campaign
from bench.quality.evasion.cost import Trial
from bench.quality.evasion.strategy import FEW, STRATEGIES, Strategy
from bench.quality.evasion.watch import watched
from bench.quality.methods import calibrated
from bench.quality.recordings import clean_recording
from detectors.baseline import Baseline
from replay.simulate.datasets import data_set as the_data_set

SETS: Final = ("mnist", "tumours")
ATTACKS: Final = ("hopskipjump", "simba")


def trials(data_set: str, seeds: int, quick: bool = False) -> list[Trial]:
    """``seeds`` campaigns of each attack and strategy. Calibration is done once."""
    baseline = calibrated(clean_recording(data_set, 1))
    pictures = the_data_set(data_set).space.is_picture
    strategies = [strategy for strategy in (FEW if quick else STRATEGIES) if strategy.fits(pictures)]
    return [trial for attack in ATTACKS for trial in _against(data_set, attack, strategies, seeds, baseline)]


def _against(
    data_set: str, attack: str, strategies: Sequence[Strategy], seeds: int, baseline: Baseline
) -> Iterator[Trial]:
    needed = seeds - 1 + max(strategy.victims for strategy in strategies)
    tasks, yardsticks = _victims(data_set, attack, needed)
    for strategy in strategies:
        print(f"{data_set}, {attack}, disguise: {strategy.name}", file=sys.stderr, flush=True)
        for seed in range(seeds):
            mine = slice(seed, seed + strategy.victims)
            made = campaign(tasks[mine], yardsticks[mine], strategy)
            found = watched(data_set, made.sent, baseline)
            yield Trial(
                data_set,
                attack,
                strategy,
                made.works,
                made.cost,
                found.queries if found else None,
                found.by if found else "",
            )


def _victims(data_set: str, attack: str, count: int) -> tuple[list[Task], list[Yardstick]]:
    """The first victims that the plain attack has to search for, and succeeds on."""
    tasks: list[Task] = []
    yardsticks: list[Yardstick] = []
    number = 0
    while len(tasks) < count:
        task = Task(data_set, attack, number)
        measured = yardstick(task)
        if measured is not None:
            tasks.append(task)
            yardsticks.append(measured)
        number += 1
    return tasks, yardsticks
