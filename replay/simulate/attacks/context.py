"""What every attack scenario is given."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np

from replay.simulate.datasets.examples import Array, Examples, Labels
from replay.simulate.datasets.registry import Device
from replay.simulate.datasets.space import Space
from replay.simulate.oracle import BudgetSpent, Oracle
from replay.simulate.scenario import Attacker

#: Examples looked at for a start; all are answered alike only by a model that answers everything alike.
_MOST_STARTS: Final = 100


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
        """Calls ``attack(picture, start)`` for each target; both ``(1, d)``, ``start`` is of another class, and known
        to be answered otherwise: libraries that must look for such a start draw from generators without a seed.

        The budget is shared out evenly; a target whose share is spent is left and the next one begins.
        """
        x, y = self.own_examples(self.spec.targets)
        for i in range(self.spec.targets):
            others, home = np.flatnonzero(self.images.y != y[i]), self._answer(x[i : i + 1])
            start = self._capture(others)
            for _ in range(_MOST_STARTS):
                if self._answer(start) != home:
                    break
                start = self._capture(others)
            self.oracle.allow(self.oracle.left // (self.spec.targets - i))
            with suppress(BudgetSpent):
                attack(x[i : i + 1], start)

    def _capture(self, of: Labels) -> Array:
        """One of the given own examples in the unit cube, ``(1, d)``."""
        return self.space.to_unit(self.sensor.capture(self.images.x[int(self.rng.choice(of))], 0.0))

    def _answer(self, x: Array) -> int:
        """What the service answers to ``x`` ``(1, d)``; the attacker knows it from before, so no query is spent."""
        return int(self.oracle.model.scores(self.space.to_wire(x)).argmax())


def one_hot(labels: Labels, classes: int) -> Array:
    """``(n,)`` class indices as ``(n, classes)``."""
    return np.asarray(np.eye(classes)[labels])
