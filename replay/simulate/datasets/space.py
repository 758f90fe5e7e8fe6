"""What a service takes as input: how many features, of which kind and range, and how an attacker's rows become such."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from replay.simulate.datasets.examples import Array, Flags

#: Decimals of inputs and scores on the wire: what the model answered is what was recorded, and files stay small.
DECIMALS: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """The inputs of one service.

    Attackers work in the unit cube, as attack libraries expect: 0 and 1 are the least and greatest value the service
    accepts for a feature. On the wire a feature has its own units; whole-numbered ones are rounded, as a form that
    takes counts and ticked boxes would have it.

    Attributes:
        shape: of one input; two numbers for a picture.
        classes: how many the model tells apart.
        low, high: range of each feature on the wire, float64 ``(d,)``.
        whole: which features are whole numbers, bool ``(d,)``.
    """

    shape: tuple[int, ...]
    classes: int
    low: Array
    high: Array
    whole: Flags

    @property
    def features(self) -> int:
        return len(self.low)

    @property
    def is_picture(self) -> bool:
        return len(self.shape) == 2

    def to_wire(self, unit: Array) -> Array:
        """Rows of the unit cube, any shape of ``n * d`` numbers, as the service gets them, ``(n, d)``."""
        rows = np.clip(np.asarray(unit, dtype=np.float64).reshape(-1, self.features), 0.0, 1.0)
        rows = rows * (self.high - self.low) + self.low
        return np.round(np.where(self.whole, np.round(rows), rows), DECIMALS)

    def to_unit(self, wire: Array) -> Array:
        """The inverse of ``to_wire`` up to rounding; values beyond the range are brought to its end."""
        rows = np.asarray(wire, dtype=np.float64).reshape(-1, self.features)
        return np.asarray(np.clip((rows - self.low) / (self.high - self.low), 0.0, 1.0))


def picture_space(side: int, classes: int) -> Space:
    """Square grey pictures with values from 0 to 1."""
    d = side * side
    return Space((side, side), classes, np.zeros(d), np.ones(d), np.zeros(d, dtype=bool))


def row_space(x: Array, classes: int, whole: Flags) -> Space:
    """Rows of numbers with the range seen in ``x`` ``(n, d)``."""
    return Space((x.shape[1],), classes, x.min(axis=0), x.max(axis=0), whole)
