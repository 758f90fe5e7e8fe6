"""What every attack scenario is given."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from replay.simulate.datasets.examples import Array, Examples, Labels
from replay.simulate.datasets.registry import Device
from replay.simulate.datasets.space import Space
from replay.simulate.oracle import BudgetSpent, Oracle
from replay.simulate.scenario import Attacker


@dataclass(frozen=True, slots=True, eq=False)
class AttackContext:
    """One attacker at work.

    Attributes:
        oracle: the only way to the served model; black-box attacks use nothing else. It takes rows of the unit cube.
        images: examples the attacker owns, none of which the model was trained on.
        sensor: the attacker's camera, or what it measures with.
        rng: the attacker's own randomness.
    """

    spec: Attacker
    oracle: Oracle
    images: Examples
    sensor: Device
    rng: np.random.Generator

    @property
    def space(self) -> Space:
        return self.oracle.model.data.space

    def own_examples(self, count: int) -> tuple[Array, Labels]:
        """``count`` own examples in the unit cube, ``(count, d)``, and their classes ``(count,)``."""
        rows = self.rng.choice(len(self.images), size=count, replace=count > len(self.images))
        x = np.stack([self.sensor.capture(self.images.x[row], 0.0) for row in rows])
        return self.space.to_unit(x), self.images.y[rows]

    def for_each_target(self, attack: Callable[[Array, Array], None]) -> None:
        """Calls ``attack(picture, start)`` for each target; both ``(1, d)``, ``start`` is of another class.

        The budget is shared out evenly; a target whose share is spent is left and the next one begins.
        """
        x, y = self.own_examples(self.spec.targets)
        for i in range(self.spec.targets):
            others = np.flatnonzero(self.images.y != y[i])
            start = self.sensor.capture(self.images.x[int(self.rng.choice(others))], 0.0)
            start = self.space.to_unit(start)
            self.oracle.allow(self.oracle.left // (self.spec.targets - i))
            with suppress(BudgetSpent):
                attack(x[i : i + 1], start)


def one_hot(labels: Labels, classes: int) -> Array:
    """``(n,)`` class indices as ``(n, classes)``."""
    return np.asarray(np.eye(classes)[labels])
