"""Sign-OPT (Cheng, Singh, Chen, Chen, Liu, Hsieh 2020, arXiv 1909.10773), untargeted, L2, from the paper."""

from __future__ import annotations

from typing import Final

import numpy as np

from replay.simulate.attacks.context import AttackContext
from replay.simulate.attacks.searching import elsewhere, label
from replay.simulate.datasets.examples import Array
from replay.simulate.oracle import Oracle

#: Random directions per gradient estimate (200 in the paper, whose budgets are a hundred times larger).
_DIRECTIONS: Final = 20
_SMOOTHING: Final = 0.01


def sign_opt(context: AttackContext) -> None:
    """Descends on the distance ``g(θ)`` to the boundary along ``θ`` with signs of its directional derivatives."""
    context.for_each_target(lambda picture, start: _descend(context, picture[0], start[0]))


def _descend(context: AttackContext, x: Array, start: Array) -> None:
    oracle = context.oracle
    home = label(oracle, x)
    start = elsewhere(context, home, start)
    theta = (start - x) / np.linalg.norm(start - x)
    distance = _distance(oracle, x, home, theta, float(np.linalg.norm(start - x)))
    step = 0.2
    while True:  # until the budget ends
        gradient = np.zeros_like(x)
        for _ in range(_DIRECTIONS):
            u = context.rng.normal(size=len(x))
            moved = theta + _SMOOTHING * u
            there = x + distance * moved / np.linalg.norm(moved)
            gradient += u if label(oracle, there) == home else -u
        gradient /= _DIRECTIONS
        best = (distance, theta)
        for factor in (step, step * 2, step * 4):
            candidate = theta - factor * gradient / np.linalg.norm(gradient)
            candidate /= np.linalg.norm(candidate)
            if label(oracle, x + best[0] * candidate) == home:
                break  # the boundary is farther this way
            best = (_distance(oracle, x, home, candidate, best[0]), candidate)
        step = step if best[0] < distance else max(step / 2, 1e-3)
        distance, theta = best


def _distance(oracle: Oracle, x: Array, home: int, theta: Array, far: float, steps: int = 8) -> float:
    """Smallest known distance along ``theta`` that changes the label; ``far`` is one that does."""
    near = 0.0
    for _ in range(steps):
        middle = (near + far) / 2
        near, far = (middle, far) if label(oracle, x + middle * theta) == home else (near, middle)
    return far
