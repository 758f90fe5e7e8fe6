"""Model extraction: label a pool of inputs with the victim's answers, train a copy on them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from art.attacks.extraction import CopycatCNN, KnockoffNets
from art.estimators.classification.scikitlearn import ScikitlearnLogisticRegression
from sklearn.linear_model import LogisticRegression

from replay.simulate.attacks.context import AttackContext
from replay.simulate.attacks.estimators import black_box
from replay.simulate.datasets.examples import Array

#: Other-domain inputs a thief chooses from.
FOREIGN_ROWS: Final = 4000


class _Thief(ScikitlearnLogisticRegression):  # type: ignore[misc]  # the toolbox ships no types
    """The copy in training. The toolbox passes epochs and batch sizes that scikit-learn's ``fit`` does not know."""

    def fit(self, x: Array, y: Array, **_ignored: Any) -> None:
        if len(set(np.argmax(y, axis=1).tolist())) > 1:  # answers of one class teach it nothing
            super().fit(x, y)


def knockoff(context: AttackContext) -> None:
    """KnockoffNets (Orekondy, Schiele, Fritz 2019, arXiv 1812.02766) with other-domain inputs, random sampling."""
    _extract(context, KnockoffNets, context.oracle.model.data.foreign(FOREIGN_ROWS))


def copycat(context: AttackContext) -> None:
    """CopycatCNN (Correia-Silva et al. 2018, arXiv 1806.05476) with other-domain inputs."""
    _extract(context, CopycatCNN, context.oracle.model.data.foreign(FOREIGN_ROWS))


def random_extraction(context: AttackContext) -> None:
    """Extraction with uniformly random inputs (Tramèr et al. 2016, arXiv 1609.02943), by the KnockoffNets code."""
    _extract(context, KnockoffNets, context.rng.random((4 * context.spec.queries, context.space.features)))


def _extract(context: AttackContext, attack: Any, pool: Array) -> None:  # a class of the toolbox; it ships no types
    victim = black_box(context.oracle)
    thief = _Thief(model=LogisticRegression(max_iter=300), clip_values=(0.0, 1.0))
    attack(victim, batch_size_fit=64, batch_size_query=64, nb_epochs=1, nb_stolen=context.spec.queries).extract(
        x=pool.astype(np.float32), thieved_classifier=thief
    )
