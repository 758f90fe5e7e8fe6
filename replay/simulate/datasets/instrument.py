"""How clients come by rows of numbers: instruments that measure, and forms that people fill in."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from replay.simulate.datasets.examples import Array, Flags


@dataclass(frozen=True, slots=True, eq=False)
class Instrument:
    """One client's measuring device for continuous features.

    ``capture`` = ``low`` + (a person's true values - ``low``) times the device's own calibration factors, plus noise in
    units of each feature's spread. The true values vary as people do: a share of the way from one recorded person
    to one of the 15 most alike, since a few hundred recorded people must stand for many.

    Attributes:
        factors: calibration of this device, ``(d,)``, near 1.
        noise_sd: standard deviation of the measurement's noise, in units of ``spread``.
        people: rows that individual variation leads towards, ``(n, d)``.
        drift: factor that the device's readings take from ``dirty_from_s`` on.
    """

    rng: np.random.Generator
    factors: Array
    noise_sd: float
    spread: Array
    low: Array
    people: Array
    dirty_from_s: float = math.inf
    drift: float = 0.85

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        noise_sd: float | None = None,
        dirty_from_s: float = math.inf,
        *,
        people: Array,
        spread: Array,
        low: Array,
    ) -> Instrument:
        noise = float(rng.uniform(0.02, 0.06)) if noise_sd is None else noise_sd
        factors = rng.normal(1.0, 0.02, size=len(low))
        return cls(rng, factors, noise, spread, low, people, dirty_from_s)

    def capture(self, image: Array, at_s: float, steady: bool = False) -> Array:
        """One measurement ``(d,)`` of the person ``image`` ``(d,)``; ``steady``: the same person again."""
        true = image
        if not steady:
            distances = np.abs((self.people - image) / self.spread).sum(axis=1)
            other = self.people[int(self.rng.choice(np.argsort(distances, kind="stable")[1:16]))]
            true = image + float(self.rng.uniform(0.2, 0.8)) * (other - image)
        factors = self.factors * (self.drift if at_s >= self.dirty_from_s else 1.0)
        measured = self.low + (true - self.low) * factors
        return np.asarray(measured + self.rng.normal(0.0, self.noise_sd, size=len(true)) * self.spread)

    def between(self, scene: Array, following: Array, blend: float) -> Array:
        """A monitored person whose state goes smoothly from one to the other."""
        return np.asarray((1.0 - blend) * scene + blend * following)


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """Answers that people give: taken as they are, so different people may well give the same.

    ``monitored`` features, amounts and counts, change by small steps while a client watches one person; ticked boxes
    change once, half way. From ``dirty_from_s`` on, amounts come in at ``drift`` times their value.
    """

    rng: np.random.Generator
    amounts: Flags
    whole: Flags
    noise_sd: float = 0.0
    dirty_from_s: float = math.inf
    drift: float = 0.8

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        noise_sd: float | None = None,
        dirty_from_s: float = math.inf,
        *,
        amounts: Flags,
        whole: Flags,
    ) -> Form:
        return cls(rng, amounts, whole, noise_sd or 0.0, dirty_from_s)

    def capture(self, image: Array, at_s: float, steady: bool = False) -> Array:
        """One form ``(d,)``. An old device (``noise_sd``) misreads amounts by so much of their value."""
        answers = np.array(image)
        factor = self.drift if at_s >= self.dirty_from_s else 1.0
        wobble = self.rng.normal(0.0, self.noise_sd + (0.002 if steady else 0.0), size=len(answers))
        answers = np.where(self.amounts, answers * factor * (1.0 + wobble), answers)
        return np.asarray(np.where(self.whole, np.round(answers), answers))

    def between(self, scene: Array, following: Array, blend: float) -> Array:
        moved = (1.0 - blend) * scene + blend * following
        return np.asarray(np.where(self.amounts, moved, scene if blend < 0.5 else following))
