"""Model extraction: label a pool of pictures with the victim's answers, train a copy on them."""

from __future__ import annotations

from typing import Any

import numpy as np
from art.attacks.extraction import CopycatCNN, KnockoffNets
from art.estimators.classification.scikitlearn import ScikitlearnLogisticRegression
from sklearn.linear_model import LogisticRegression

from replay.simulate.attacks.context import AttackContext
from replay.simulate.attacks.estimators import black_box
from replay.simulate.images import PIXELS, Array, photo_patches


class _Thief(ScikitlearnLogisticRegression):  # type: ignore[misc]  # the toolbox ships no types
    """The copy in training. The toolbox passes epochs and batch sizes that scikit-learn's ``fit`` does not know."""

    def fit(self, x: Array, y: Array, **_ignored: Any) -> None:
        super().fit(x, y)


def knockoff(context: AttackContext) -> None:
    """KnockoffNets (Orekondy, Schiele, Fritz 2019, arXiv 1812.02766) with patches of photographs, random sampling."""
    _extract(context, KnockoffNets, photo_patches())


def copycat(context: AttackContext) -> None:
    """CopycatCNN (Correia-Silva et al. 2018, arXiv 1806.05476) with patches of photographs."""
    _extract(context, CopycatCNN, photo_patches())


def random_extraction(context: AttackContext) -> None:
    """Extraction with uniformly random inputs (Tramèr et al. 2016, arXiv 1609.02943), by the KnockoffNets code."""
    _extract(context, KnockoffNets, context.rng.random((4 * context.spec.queries, PIXELS)))


def _extract(context: AttackContext, attack: Any, pool: Array) -> None:  # a class of the toolbox; it ships no types
    victim = black_box(context.oracle)
    thief = _Thief(model=LogisticRegression(max_iter=300), clip_values=(0.0, 1.0))
    attack(victim, batch_size_fit=64, batch_size_query=64, nb_epochs=1, nb_stolen=context.spec.queries).extract(
        x=pool.astype(np.float32), thieved_classifier=thief
    )
