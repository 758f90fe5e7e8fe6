"""What every attack scenario is given."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from replay.simulate.images import CLASSES, Array, Images, Labels
from replay.simulate.oracle import BudgetSpent, Oracle
from replay.simulate.scenario import Attacker
from replay.simulate.sensor import Sensor


@dataclass(frozen=True, slots=True, eq=False)
class AttackContext:
    """One attacker at work.

    Attributes:
        oracle: the only way to the served model; black-box attacks use nothing else.
        images: pictures the attacker owns, none of which the model was trained on.
        sensor: the attacker's camera.
        rng: the attacker's own randomness.
    """

    spec: Attacker
    oracle: Oracle
    images: Images
    sensor: Sensor
    rng: np.random.Generator

    def own_pictures(self, count: int) -> tuple[Array, Labels]:
        """``count`` pictures ``(count, 64)`` taken with the attacker's camera, and their digits ``(count,)``."""
        rows = self.rng.choice(len(self.images), size=count, replace=count > len(self.images))
        x = np.stack([self.sensor.capture(self.images.x[row], 0.0) for row in rows])
        return x, self.images.y[rows]

    def for_each_target(self, attack: Callable[[Array, Array], None]) -> None:
        """Calls ``attack(picture, start)`` for each target; both ``(1, 64)``, ``start`` shows a different digit.

        The budget is shared out evenly; a target whose share is spent is left and the next one begins.
        """
        x, y = self.own_pictures(self.spec.targets)
        for i in range(self.spec.targets):
            others = np.flatnonzero(self.images.y != y[i])
            start = self.sensor.capture(self.images.x[int(self.rng.choice(others))], 0.0)
            self.oracle.allow(self.oracle.left // (self.spec.targets - i))
            with suppress(BudgetSpent):
                attack(x[i : i + 1], start[None, :])


def one_hot(labels: Labels) -> Array:
    """``(n,)`` class indices as ``(n, 10)``."""
    return np.asarray(np.eye(CLASSES)[labels])
