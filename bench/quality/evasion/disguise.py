"""Queries in disguise: noise, small moves, and features that hardly matter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from bench.quality.evasion.strategy import Strategy
from replay.simulate.datasets.examples import Array
from replay.simulate.datasets.space import DECIMALS, Space
from replay.simulate.served import ServedModel

_DEGREES_PER_MOVE = 5.0
_BRIGHTNESS_PER_MOVE = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Disguise:
    """One attacker's way to change its queries.

    Attributes:
        own: examples the attacker has, in the unit cube, ``(n, d)``.
        spread: what a noise of 1 is in each feature of the unit cube, ``(d,)``.
        ignored: features from the one the model heeds least to the one it heeds most, ``(d,)``.
    """

    strategy: Strategy
    space: Space
    own: Array
    spread: Array
    ignored: npt.NDArray[np.intp]
    rng: np.random.Generator

    @classmethod
    def of(cls, strategy: Strategy, model: ServedModel, own: Array, rng: np.random.Generator) -> Disguise:
        """``own``: examples of the attacker in the unit cube; it knows what the model heeds without asking."""
        spread = np.ones(model.data.space.features) if model.data.space.is_picture else own.std(axis=0)
        return cls(strategy, model.data.space, own, spread, heeded(model, own), rng)

    def copies(self, rows: Array) -> Array:
        """Each of the rows ``(n, d)`` of the unit cube as often as the strategy has it, ``(n * votes, d)``."""
        how, rng = self.strategy, self.rng
        x = np.repeat(rows, how.votes, axis=0)
        if how.moves:
            x = np.stack([self._moved(row) for row in x])
        if how.resampled:
            chosen = self.ignored[: round(how.resampled * x.shape[1])]
            x[:, chosen] = self.own[rng.integers(len(self.own), size=len(x))][:, chosen]
        if how.noise_sd:
            x = x + rng.normal(0.0, how.noise_sd, size=x.shape) * self.spread
        if how.jitter:
            steps = rng.integers(-how.jitter, how.jitter + 1, size=x.shape)
            x = x + steps * 10.0**-DECIMALS / (self.space.high - self.space.low)
        return np.clip(x, 0.0, 1.0)

    def _moved(self, row: Array) -> Array:
        most, side = self.strategy.moves, self.space.shape[0]
        angle = np.deg2rad(self.rng.uniform(-most, most) * _DEGREES_PER_MOVE)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        centre = np.full(2, (side - 1) / 2)
        offset = centre - turn @ centre + self.rng.uniform(-most, most, size=2)
        moved = ndimage.affine_transform(row.reshape(self.space.shape), turn, offset, order=1)
        return np.asarray(moved * (1.0 + self.rng.uniform(-most, most) * _BRIGHTNESS_PER_MOVE)).reshape(-1)


def heeded(model: ServedModel, own: Array) -> npt.NDArray[np.intp]:
    """Features by how much the class probabilities move, on average, when the feature comes from another example."""
    some = own[:100]
    before = model.scores(model.data.space.to_wire(some))
    weight = np.zeros(some.shape[1])
    if not model.data.space.is_picture:  # pictures are moved instead
        for feature in range(len(weight)):
            changed = some.copy()
            changed[:, feature] = np.roll(some[:, feature], 1)
            weight[feature] = np.abs(model.scores(model.data.space.to_wire(changed)) - before).mean()
    return np.argsort(weight, kind="stable")
