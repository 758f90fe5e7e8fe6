"""Evasion with the model's own gradients: crafted in the dark, sent once."""

from __future__ import annotations

from typing import Any

import numpy as np
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent

from replay.simulate.attacks.context import AttackContext, one_hot
from replay.simulate.attacks.estimators import white_box


def pgd(context: AttackContext) -> None:
    """Projected gradient descent (Madry et al. 2018, arXiv 1706.06083), L-infinity within ``eps``, 20 steps."""
    eps = context.spec.eps
    model = white_box(context.oracle)
    _send_successes(
        context,
        ProjectedGradientDescent(model, eps=eps, eps_step=eps / 8, max_iter=20, num_random_init=1, verbose=False),
    )


def fgm(context: AttackContext) -> None:
    """Fast gradient method (Goodfellow, Shlens, Szegedy 2015, arXiv 1412.6572), L-infinity of ``eps``, one step."""
    _send_successes(context, FastGradientMethod(white_box(context.oracle), eps=context.spec.eps))


def _send_successes(context: AttackContext, attack: Any) -> None:  # any attack of the toolbox; it ships no types
    """Perturbs own pictures and sends those whose digit the attacker's copy of the model now gets wrong."""
    x, y = context.own_examples(context.spec.queries * 3)
    adversarial = np.asarray(
        attack.generate(x=x.astype(np.float32), y=one_hot(y, context.space.classes)), dtype=np.float64
    )
    fooled = context.oracle.model.scores(adversarial).argmax(axis=1) != y
    context.oracle.scores(adversarial[fooled][: context.spec.queries])
