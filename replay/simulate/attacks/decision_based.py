"""Black-box evasion that needs the label alone: search along the decision boundary."""

from __future__ import annotations

import numpy as np
from art.attacks.evasion import BoundaryAttack, HopSkipJump

from replay.simulate.attacks.context import AttackContext
from replay.simulate.attacks.estimators import black_box
from replay.simulate.datasets.examples import Array

# Both attacks are given their starting picture: left to find one, they draw from an unseeded generator.


def hopskipjump(context: AttackContext) -> None:
    """HopSkipJump (Chen, Jordan, Wainwright 2020, arXiv 1904.02144), untargeted, L2; runs until the budget ends."""
    attack = HopSkipJump(
        black_box(context.oracle), norm=2, max_iter=50, init_eval=30, max_eval=300, batch_size=32, verbose=False
    )

    def run(picture: Array, start: Array) -> None:
        attack.generate(x=picture.astype(np.float32), x_adv_init=start.astype(np.float32))

    context.for_each_target(run)


def boundary(context: AttackContext) -> None:
    """Boundary attack (Brendel, Rauber, Bethge 2018, arXiv 1712.04248), untargeted; runs until the budget ends."""
    attack = BoundaryAttack(
        black_box(context.oracle),
        targeted=False,
        max_iter=500,
        num_trial=10,
        sample_size=10,
        batch_size=16,
        verbose=False,
    )

    def run(picture: Array, start: Array) -> None:
        attack.generate(x=picture.astype(np.float32), x_adv_init=start.astype(np.float32))

    context.for_each_target(run)
