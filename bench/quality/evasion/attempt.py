"""One attack on one victim, disguised: what it sends and how near it comes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.quality.evasion.disguise import Disguise
from bench.quality.evasion.guided import guided_hopskipjump
from bench.quality.evasion.guided_scores import guided_descent
from bench.quality.evasion.oracle import DisguisedOracle
from bench.quality.evasion.strategy import PLAIN, Strategy
from replay.simulate import Attacker
from replay.simulate.attacks.context import AttackContext
from replay.simulate.attacks.registry import attack_scenario
from replay.simulate.datasets.examples import Array
from replay.simulate.oracle import BudgetSpent, seeded_globals
from replay.simulate.served import served_model

#: Queries of the plain attack; what it has reached by then is what a disguised one must come near.
PLAIN_QUERIES: Final = 500
#: It works if it gets as near to the victim as the plain attack did, up to this factor.
SLACK: Final = 1.1
#: Who is found before so many queries of a plain attack was hardly searching: such victims are passed over.
LEAST_QUERIES: Final = 100
_OWN: Final = 400
#: Length of a step of an attack that takes one: small enough for a search to be one.
_EPS: Final = {"mnist": 0.1, "tumours": 0.02}
_GUIDED: Final = {"hopskipjump": guided_hopskipjump, "simba": guided_descent}


@dataclass(frozen=True, slots=True)
class Task:
    """``victim``: number of the victim, and seed of all that the attack draws."""

    data_set: str
    attack: str
    victim: int


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """``sent``: rows on the wire, ``(n, d)``. ``distortions``: as ``DisguisedOracle`` has them."""

    sent: Array
    distortions: tuple[tuple[int, float], ...]

    def reached(self, goal: float) -> int | None:
        """Queries sent until a distortion of ``goal`` or less was reached."""
        return next((queries for queries, distortion in self.distortions if distortion <= goal), None)


class _Aimed(AttackContext):
    """Tells the oracle whom the attack is about."""

    def for_each_target(self, attack: Callable[[Array, Array], None]) -> None:
        def aimed(picture: Array, start: Array) -> None:
            assert isinstance(self.oracle, DisguisedOracle)
            self.oracle.aim(picture[0])
            attack(picture, start)

        super().for_each_target(aimed)


def attempt(task: Task, strategy: Strategy, budget: int, goal: float = 0.0) -> Attempt:
    """The attack with at most ``budget`` queries, until ``goal`` is reached. Same arguments, same queries.

    Victim, starting point and the attack's own draws do not depend on the strategy.
    """
    model = served_model(task.data_set)
    disguising = np.random.default_rng([task.victim, 1])
    own = ordinary(task, _OWN)
    oracle = DisguisedOracle(
        model, budget, Disguise.of(strategy, model, model.data.space.to_unit(own), disguising), goal
    )
    rng = np.random.default_rng([task.victim, 0])
    spec = Attacker("adaptive", task.attack, task.data_set, "2001:db8:a::1", 0.0, budget, 1.0, eps=_EPS[task.data_set])
    context = _Aimed(spec, oracle, model.data.split.b, model.data.device(rng), rng)
    run = _GUIDED[task.attack] if strategy.guided else attack_scenario(task.attack).load()
    with warnings.catch_warnings(), seeded_globals(task.victim), suppress(BudgetSpent):
        warnings.simplefilter("ignore", RuntimeWarning)  # noise at a start may leave the toolbox nothing to divide by
        run(context)
    return Attempt(np.array(oracle.queries), tuple(oracle.distortions))


def ordinary(task: Task, count: int) -> Array:
    """Ordinary inputs of the attacker on the wire, ``(count, d)``, each seen anew by its camera or instrument."""
    data = served_model(task.data_set).data
    rng = np.random.default_rng([task.victim, 2])
    device, images = data.device(rng), data.split.b
    rows = [device.capture(images.x[int(rng.integers(len(images)))], 0.0) for _ in range(count)]
    if not rows:
        return np.empty((0, data.space.features))
    return np.asarray(data.space.to_wire(data.space.to_unit(np.stack(rows))))


@dataclass(frozen=True, slots=True)
class Yardstick:
    """``distortion`` that counts as success, and ``queries`` of the plain attack until it had that."""

    distortion: float
    queries: int


def yardstick(task: Task) -> Yardstick | None:
    """None for a victim that the plain attack fails on, or with which it is done in fewer than ``LEAST_QUERIES``."""
    plain = attempt(task, PLAIN, PLAIN_QUERIES)
    if not plain.distortions:
        return None
    goal = SLACK * plain.distortions[-1][1]
    queries = plain.reached(goal)
    return Yardstick(goal, queries) if queries is not None and queries >= LEAST_QUERIES else None
