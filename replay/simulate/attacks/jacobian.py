"""Extraction with Jacobian-based augmentation.

Papernot et al. 2017, arXiv 1602.02697; with random targets: Juuti et al. 2019 (PRADA), arXiv 1805.02628.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from replay.simulate.attacks.context import AttackContext
from replay.simulate.datasets.examples import Array, Labels

#: Step of the augmentation in the unit cube: 25.5 grey levels, as in both papers.
_STEP: Final = 0.1
_SEEDS_PER_CLASS: Final = 5


def jacobian(context: AttackContext) -> None:
    """Asks about a few own examples, then, round after round, about each moved by ``λ·sign`` of the copy's Jacobian.

    The direction is that of the score which the copy gives the answered class, up or down at random (T-RND in
    Juuti et al.). The copy is a network with one hidden layer, fitted again on all answers each round.
    """
    pool, truth = context.own_examples(min(400, 40 * context.space.classes))
    x = np.concatenate([pool[truth == c][:_SEEDS_PER_CLASS] for c in range(context.space.classes)])
    y = context.oracle.scores(x).argmax(axis=1)
    while True:  # until the budget ends
        new = np.clip(x + _STEP * _signs(x, y) * context.rng.choice([-1.0, 1.0], size=(len(x), 1)), 0.0, 1.0)
        answers = context.oracle.scores(new).argmax(axis=1)
        x, y = np.concatenate([x, new]), np.concatenate([y, answers])


def _signs(x: Array, y: Labels) -> Array:
    """Signs of the gradient of each row's class score under a copy fitted on ``(x, y)``; zero for one class."""
    if len(np.unique(y)) < 2:
        return np.zeros_like(x)
    copy = _fitted(x, y)
    (w1, w2), (b1, _) = copy.coefs_, copy.intercepts_
    hidden = (x @ w1 + b1) > 0
    if w2.shape[1] == 1:  # two classes share one output
        out = np.where(y == copy.classes_[1], 1.0, -1.0)[:, None] * w2.T
    else:
        out = w2.T[np.searchsorted(copy.classes_, y)]
    return np.asarray(np.sign((hidden * out) @ w1.T))


def _fitted(x: Array, y: Labels) -> Any:  # scikit-learn ships no types
    from sklearn.neural_network import MLPClassifier

    from replay.simulate.datasets.tables import fitted

    return fitted(MLPClassifier((32,), max_iter=60, random_state=0, solver="lbfgs"), x, y)
