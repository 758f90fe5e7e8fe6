"""What attacks that need the label alone share: bisection to the boundary, and directions to look in."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.fft import idctn

from replay.simulate.attacks.context import AttackContext
from replay.simulate.datasets.examples import Array
from replay.simulate.datasets.space import Space
from replay.simulate.oracle import Oracle


def label(oracle: Oracle, row: Array) -> int:
    """The class the service gives one row ``(d,)`` of the unit cube; one query."""
    return int(oracle.scores(row[None, :]).argmax())


def elsewhere(context: AttackContext, home: int, start: Array) -> Array:
    """``start``, or the first own example in its place that the service does not put into class ``home``, ``(d,)``."""
    while label(context.oracle, start) == home:
        start = context.own_examples(1)[0][0]
    return start


def bisect(oracle: Oracle, inside: Array, outside: Array, steps: int = 10) -> tuple[Array, Array]:
    """Last pair on the segment from ``inside`` to ``outside`` with the label of ``inside`` and with another one.

    ``steps`` queries, besides one for the label of ``inside``.
    """
    home = label(oracle, inside)
    near, far = inside, outside
    for _ in range(steps):
        middle = (near + far) / 2
        near, far = (middle, far) if label(oracle, middle) == home else (near, middle)
    return near, far


def random_direction(context: AttackContext) -> Array:
    """A random unit vector ``(d,)``: of low frequencies for a picture, of any for a row."""
    basis = directions(context.space)
    vector = context.rng.normal(size=len(basis)) @ basis
    return np.asarray(vector / np.linalg.norm(vector))


def directions(space: Space) -> Array:
    """Orthonormal directions ``(n, d)``: a picture's lowest cosines, or a row's features."""
    return _cosines(space.shape[0]) if space.is_picture else np.eye(space.features)


@cache
def _cosines(side: int) -> Array:
    kept = max(side // 4, 4)
    waves = np.zeros((kept * kept, side, side))
    for i in range(kept):
        for j in range(kept):
            waves[i * kept + j, i, j] = 1.0
    return np.asarray(idctn(waves, axes=(1, 2), norm="ortho").reshape(kept * kept, side * side))
