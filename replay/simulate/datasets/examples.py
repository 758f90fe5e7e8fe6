"""Labelled examples, and the split that never changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from monitor.errors import UserError

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

#: Two halves of what is held out, so that a baseline fitted on traffic of one meets only unseen examples in the other.
Pool = Literal["a", "b"]

#: The split never changes: a scenario's seed must not move a training example into the traffic.
SPLIT_SEED: Final = 20251121


class MissingExtraError(UserError, ImportError):
    """The libraries that simulation needs are not installed; the message says how to get them."""


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """What clients' devices look at, float64 ``(n, d)``, and the class of each, int64 ``(n,)``."""

    x: Array
    y: Labels

    def __len__(self) -> int:
        return len(self.y)

    def of_class(self, label: int) -> Labels:
        """Indices of the examples of class ``label``."""
        return np.flatnonzero(self.y == label).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Half of the examples train the model; the rest is divided into the two pools."""

    train: Examples
    a: Examples
    b: Examples

    def pool(self, pool: Pool) -> Examples:
        return self.a if pool == "a" else self.b


def split(x: Array, y: Labels) -> Split:
    """Each class is halved into training and traffic, and the traffic halved again, at random with ``SPLIT_SEED``."""
    rng = np.random.default_rng(SPLIT_SEED)
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for label in range(int(y.max()) + 1):
        rows = rng.permutation(np.flatnonzero(y == label)).tolist()
        half, rest = len(rows) // 2, (len(rows) - len(rows) // 2) // 2
        for part, chosen in zip(parts, (rows[:half], rows[half : half + rest], rows[half + rest :]), strict=True):
            part.extend(chosen)
    train, a, b = (Examples(x[sorted(rows)], y[sorted(rows)]) for rows in parts)
    return Split(train, a, b)
