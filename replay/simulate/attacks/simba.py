"""SimBA (Guo, Gardner, You, Wilson, Weinberger 2019, arXiv 1905.07121), untargeted, from the paper."""

from __future__ import annotations

import numpy as np

from replay.simulate.attacks.context import AttackContext
from replay.simulate.attacks.searching import directions
from replay.simulate.datasets.examples import Array


def simba(context: AttackContext) -> None:
    """Adds or subtracts ``eps`` along orthonormal directions in random order, keeping what lowers the class's score.

    Directions: low-frequency cosines of a picture (SimBA-DCT), the features of a row.
    """
    context.for_each_target(lambda picture, _start: _descend(context, picture[0]))


def _descend(context: AttackContext, x: Array) -> None:
    basis = directions(context.space)
    first = context.oracle.scores(x[None, :])[0]
    home, score = int(first.argmax()), float(first.max())
    while True:  # until the budget ends
        for row in context.rng.permutation(len(basis)).tolist():
            for sign in (1.0, -1.0):
                moved = np.clip(x + sign * context.spec.eps * basis[row], 0.0, 1.0)
                lower = float(context.oracle.scores(moved[None, :])[0, home])
                if lower < score:
                    x, score = moved, lower
                    break
