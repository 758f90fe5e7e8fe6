"""SimBA for one who must add noise anyway: what was added is what the score's slope is learned from."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from bench.quality.evasion.oracle import DisguisedOracle
from replay.simulate.attacks.context import AttackContext
from replay.simulate.attacks.searching import directions
from replay.simulate.datasets.examples import Array

_PROBES: Final = 10
#: Queries that the slope is fitted to, in multiples of the directions it is looked for in.
_MEMORY: Final = 3
_RIDGE: Final = 1e-3


def guided_descent(context: AttackContext) -> None:
    """Descends on the margin log p(class) - log p(best other), whose slope is a ridge regression on what was sent.

    As NES (Ilyas, Engstrom, Athalye, Lin 2018, arXiv 1804.08598) it asks about noisy copies of one point, but it knows
    the noise, keeps the latest queries of former points, and looks only in the directions that SimBA looks in. The
    oracle must be a ``DisguisedOracle``.
    """
    context.for_each_target(lambda picture, _start: _descend(context, picture[0]))


def _descend(context: AttackContext, victim: Array) -> None:
    oracle = context.oracle
    assert isinstance(oracle, DisguisedOracle)
    basis = directions(context.space)
    seen: deque[tuple[Array, float]] = deque(maxlen=_MEMORY * len(basis))
    home, x = int(oracle.scores(victim[None, :])[0].argmax()), victim
    while True:  # until the budget ends
        oracle.scores(np.repeat(x[None, :], _PROBES, axis=0))
        sent, answers = oracle.last
        margins = _margins(answers, home)
        seen.extend(zip((sent - victim) @ basis.T, margins.tolist(), strict=True))
        if margins.mean() < 0:  # over the boundary: nearer to the victim, and on from there
            x = victim + 0.9 * (x - victim)
        else:
            x = np.clip(x - context.spec.eps * (_slope(seen) @ basis), 0.0, 1.0)


def _margins(answers: Array, home: int) -> Array:
    logs = np.log(np.maximum(answers, 1e-5))
    own = logs[:, home].copy()
    logs[:, home] = -np.inf
    return np.asarray(own - logs.max(axis=1))


def _slope(seen: deque[tuple[Array, float]]) -> Array:
    """Unit vector in which the margin grows fastest, in the basis."""
    at = np.stack([place for place, _ in seen])
    margins = np.array([margin for _, margin in seen])
    at = at - at.mean(axis=0)
    spread = _RIDGE * np.trace(at.T @ at) / at.shape[1]
    slope = np.linalg.solve(at.T @ at + (spread + 1e-12) * np.eye(at.shape[1]), at.T @ (margins - margins.mean()))
    return np.asarray(slope / max(float(np.linalg.norm(slope)), 1e-12))
