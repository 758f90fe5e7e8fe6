"""Label-only membership inference: was this record among the training data? Half of the candidates were.

Choquette-Choo, Tramèr, Carlini, Papernot 2021 (arXiv 2007.14321); Li, Zhang 2021 (arXiv 2007.15528).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import numpy as np
from art.attacks.evasion import HopSkipJump
from scipy import ndimage

from replay.simulate.attacks.context import AttackContext
from replay.simulate.attacks.estimators import black_box
from replay.simulate.datasets.examples import Array
from replay.simulate.oracle import BudgetSpent

_NOISES: Final = (0.02, 0.05, 0.1, 0.2)
_PER_NOISE: Final = 12


def boundary(context: AttackContext) -> None:
    """Distance of each candidate to the decision boundary, by a short HopSkipJump; members lie farther from it."""
    attack = HopSkipJump(
        black_box(context.oracle), norm=2, max_iter=4, init_eval=10, max_eval=30, batch_size=16, verbose=False
    )

    def probe(candidate: Array) -> None:
        rows, _ = context.own_examples(20)
        answers = context.oracle.scores(rows).argmax(axis=1)
        home = int(context.oracle.scores(candidate[None, :]).argmax())
        others = rows[answers != home]
        if len(others):
            attack.generate(x=candidate[None, :].astype(np.float32), x_adv_init=others[:1].astype(np.float32))

    _for_each_candidate(context, probe, least=120)


def noise(context: AttackContext) -> None:
    """How much Gaussian noise each candidate's label bears, at four strengths."""

    def probe(candidate: Array) -> None:
        context.oracle.scores(candidate[None, :])
        for strength in _NOISES:
            for _ in range(_PER_NOISE):
                noisy = candidate + context.rng.normal(0.0, strength, size=len(candidate))
                context.oracle.scores(np.clip(noisy, 0.0, 1.0)[None, :])

    _for_each_candidate(context, probe, least=len(_NOISES) * _PER_NOISE + 1)


def augmentation(context: AttackContext) -> None:
    """Whether each candidate's label bears shifts by one and two pixels and turns by up to 15 degrees."""

    def probe(candidate: Array) -> None:
        picture = candidate.reshape(context.space.shape)
        offsets = [(i, j) for i in (-2, -1, 0, 1, 2) for j in (-2, -1, 0, 1, 2) if abs(i) + abs(j) <= 2]
        seen = [ndimage.shift(picture, offset, order=1) for offset in offsets]
        seen += [ndimage.rotate(picture, angle, reshape=False, order=1) for angle in (-15, -10, -5, 5, 10, 15)]
        for variant in seen:
            context.oracle.scores(np.clip(variant, 0.0, 1.0).reshape(1, -1))

    _for_each_candidate(context, probe, least=19)


def _for_each_candidate(context: AttackContext, probe: Callable[[Array], None], least: int) -> None:
    """Calls ``probe`` with member and non-member in turn while ``least`` queries are left; each has an even share."""
    data = context.oracle.model.data
    members = data.split.train
    candidates = max(context.spec.queries // least, 1)
    for number in range(candidates):
        source = members if number % 2 == 0 else context.images
        row = int(context.rng.integers(len(source)))
        candidate = context.space.to_unit(data.encoded(source.x[row : row + 1]))[0]
        context.oracle.allow(context.oracle.left // (candidates - number))
        with suppress(BudgetSpent):
            probe(candidate)
