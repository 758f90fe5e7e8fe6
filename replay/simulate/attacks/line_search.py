"""Extraction of a linear boundary by line searches (Lowd, Meek 2005, "Adversarial learning", KDD), from the paper."""

from __future__ import annotations

import numpy as np

from replay.simulate.attacks.context import AttackContext
from replay.simulate.attacks.searching import bisect, elsewhere, label
from replay.simulate.datasets.examples import Array

_STEP = 0.15


def line_search(context: AttackContext) -> None:
    """From a point on the boundary, how far each feature's step must be made good along one line: its relative weight.

    Each target is joined to an example of another class. After the first search, feature ``i`` is moved by a step and
    the boundary found again on the parallel line; the ratio of the two distances is ``w_i`` relative to the line's.
    """
    context.for_each_target(lambda picture, start: _weights(context, picture[0], start[0]))


def _weights(context: AttackContext, x: Array, start: Array) -> None:
    oracle = context.oracle
    home = label(oracle, x)
    start = elsewhere(context, home, start)
    near, far = bisect(oracle, x, start)
    line = (start - x) / np.linalg.norm(start - x)
    weights = np.zeros_like(x)
    while True:  # until the budget ends
        for i in context.rng.permutation(len(x)).tolist():
            moved = near.copy()
            moved[i] += _STEP if moved[i] + _STEP <= 1.0 else -_STEP
            sign = 1.0 if label(oracle, moved) == home else -1.0
            low, high = 0.0, 0.5
            for _ in range(6):
                middle = (low + high) / 2
                crossed = (label(oracle, moved + sign * middle * line) == home) != (sign > 0)
                low, high = (low, middle) if crossed else (middle, high)
            weights[i] = sign * high / _STEP
        near, far = bisect(oracle, near - 0.05 * weights, far)
