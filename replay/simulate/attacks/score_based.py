"""Black-box evasion that reads the class probabilities: random search and finite differences."""

from __future__ import annotations

import numpy as np
from art.attacks.evasion import SquareAttack, ZooAttack

from replay.simulate.attacks.context import AttackContext
from replay.simulate.attacks.estimators import black_box
from replay.simulate.datasets.examples import Array


def square(context: AttackContext) -> None:
    """Square attack (Andriushchenko et al. 2020, arXiv 1912.00049), L-infinity within ``eps``."""
    classifier = black_box(context.oracle, square=True)
    attack = SquareAttack(classifier, norm=np.inf, eps=context.spec.eps, max_iter=2000, nb_restarts=1, verbose=False)

    def run(picture: Array, _start: Array) -> None:
        attack.generate(x=picture.reshape(1, *context.space.shape, 1).astype(np.float32))

    context.for_each_target(run)


def zoo(context: AttackContext) -> None:
    """ZOO (Chen et al. 2017, arXiv 1708.03999): two queries a coordinate, up to 16 coordinates a step."""
    attack = ZooAttack(
        black_box(context.oracle),
        max_iter=200,
        binary_search_steps=1,
        learning_rate=0.05,
        initial_const=1.0,
        nb_parallel=min(16, context.space.features),
        use_resize=False,
        use_importance=False,
        variable_h=0.05,
        verbose=False,
    )

    def run(picture: Array, _start: Array) -> None:
        attack.generate(x=picture.astype(np.float32))

    context.for_each_target(run)
