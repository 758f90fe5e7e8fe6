"""HopSkipJump for one who must add noise anyway: what was added is what gradients are estimated from."""

from __future__ import annotations

import numpy as np

from bench.quality.evasion.oracle import DisguisedOracle
from replay.simulate.attacks.context import AttackContext
from replay.simulate.attacks.searching import elsewhere, label
from replay.simulate.datasets.examples import Array

_FIRST_PROBES = 30
_MOST_PROBES = 300
_HALVINGS = 6


def guided_hopskipjump(context: AttackContext) -> None:
    """HopSkipJump (Chen, Jordan, Wainwright 2020, arXiv 1904.02144), L2, untargeted, adapted to a noisy oracle.

    Its own probes are far smaller than a sensor's noise and drown in it. Here a gradient is the mean of what the
    disguise added to the boundary point, signed by the answers, which is as good an estimate as that of the paper; and
    bisections end where the noise makes them pointless. The oracle must be a ``DisguisedOracle``.
    """
    context.for_each_target(lambda picture, start: _descend(context, picture[0], start[0]))


def _descend(context: AttackContext, x: Array, start: Array) -> None:
    oracle = context.oracle
    assert isinstance(oracle, DisguisedOracle)
    home = label(oracle, x)
    there = elsewhere(context, home, start)
    turn = 0
    while True:  # until the budget ends
        there = _to_boundary(oracle, x, there, home)
        distance = float(np.linalg.norm(there - x))
        direction = _gradient(oracle, there, home, min(int(_FIRST_PROBES * np.sqrt(turn + 1)), _MOST_PROBES))
        step = distance / np.sqrt(turn + 1)
        for _ in range(_HALVINGS):
            ahead = np.clip(there + step * direction, 0.0, 1.0)
            if label(oracle, ahead) != home:
                there = ahead
                break
            step /= 2
        turn += 1


def _to_boundary(oracle: DisguisedOracle, inside: Array, outside: Array, home: int) -> Array:
    """The last point outside of a bisection that ends at the size of the noise along one direction."""
    near, far = inside, outside
    while True:
        middle = (near + far) / 2
        outside_still = label(oracle, middle) != home
        near, far = (near, middle) if outside_still else (middle, far)
        sent = oracle.last[0]
        noise = np.sqrt(np.mean((sent - middle) ** 2))
        if np.linalg.norm(far - near) <= max(noise, 1e-3):
            return far


def _gradient(oracle: DisguisedOracle, there: Array, home: int, probes: int) -> Array:
    """Unit vector that leads away from class ``home``: mean of the added noise, signed by the answers."""
    oracle.scores(np.repeat(there[None, :], probes, axis=0))
    sent, answers = oracle.last
    away = np.where(answers.argmax(axis=1) != home, 1.0, -1.0)
    spread = away - away.mean() if np.ptp(away) else away
    gradient = spread @ (sent - there) / len(sent)
    return np.asarray(gradient / max(float(np.linalg.norm(gradient)), 1e-12))
