"""GeoDA (Rahmati, Moosavi-Dezfooli, Frossard, Dai 2020, arXiv 2003.06468), untargeted, L2, from the paper."""

from __future__ import annotations

from itertools import count

import numpy as np

from replay.simulate.attacks.context import AttackContext
from replay.simulate.attacks.searching import bisect, elsewhere, label, random_direction
from replay.simulate.datasets.examples import Array


def geoda(context: AttackContext) -> None:
    """Takes the boundary for flat near its point: estimates the normal there, follows it from the picture, repeats.

    Iteration ``t`` spends ``20 · 1.5^t`` queries on the normal (the paper's schedule grows geometrically too), in a
    subspace of low frequencies for pictures.
    """
    context.for_each_target(lambda picture, start: _approach(context, picture[0], start[0]))


def _approach(context: AttackContext, x: Array, start: Array) -> None:
    oracle = context.oracle
    home = label(oracle, x)
    outside = bisect(oracle, x, elsewhere(context, home, start))[1]
    for t in count():
        normal = np.zeros_like(x)
        for _ in range(int(20 * 1.5**t)):
            direction = random_direction(context)
            normal += -direction if label(oracle, outside + 0.2 * direction) == home else direction
        normal /= np.linalg.norm(normal)
        reach = float(np.linalg.norm(outside - x))
        for stretch in (1.0, 1.5, 2.0, 3.0):  # the boundary may be somewhat farther along the estimated normal
            there = x + stretch * reach * normal
            if label(oracle, there) != home:
                outside = bisect(oracle, x, there)[1]
                break
