"""What staying unfound costs: trials by strategy, and the least cost factor of those that evade."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.quality.evasion.strategy import Strategy


@dataclass(frozen=True, slots=True)
class Trial:
    """One campaign, watched.

    Attributes:
        works: it reached its victims. ``cost``: its queries as a multiple of the plain attack's.
        found_after: queries up to the first finding, None if there was none while it went on; ``by``: the detector.
    """

    data_set: str
    attack: str
    strategy: Strategy
    works: bool
    cost: float
    found_after: int | None
    by: str = ""

    @property
    def evades(self) -> bool:
        return self.works and self.found_after is None


@dataclass(frozen=True, slots=True)
class Cheapest:
    """The strategy with the least cost factor among those that evade."""

    strategy: Strategy
    cost: float


def cost_factor(trials: Sequence[Trial]) -> float | None:
    """Median cost of those that evade if they are more than half of one strategy's trials, else None."""
    costs = [trial.cost for trial in trials if trial.evades]
    return median(costs) if 2 * len(costs) > len(trials) else None


def least_of_one(trials: Iterable[Trial]) -> float | None:
    """Least cost factor of any single trial that evades: what a lucky attacker pays."""
    return min((trial.cost for trial in trials if trial.evades), default=None)


def cheapest(trials: Iterable[Trial]) -> Cheapest | None:
    """Over all strategies in the trials; None if no strategy evades."""
    by_strategy: dict[Strategy, list[Trial]] = {}
    for trial in trials:
        by_strategy.setdefault(trial.strategy, []).append(trial)
    found: Cheapest | None = None
    for strategy, mine in by_strategy.items():
        cost = cost_factor(mine)
        if cost is not None and (found is None or cost < found.cost):
            found = Cheapest(strategy, cost)
    return found
