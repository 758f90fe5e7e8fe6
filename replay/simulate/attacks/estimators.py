"""The served model as the Adversarial Robustness Toolbox wants it: a black box, or a copy with gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from art.estimators.classification import BlackBoxClassifier, BlackBoxClassifierNeuralNetwork
from art.estimators.classification.scikitlearn import ScikitlearnLogisticRegression

from replay.simulate.oracle import Oracle
from replay.simulate.scenario import ScenarioError


def black_box(oracle: Oracle, square: bool = False) -> Any:  # the toolbox ships no types
    """A classifier whose every prediction is a query to the oracle.

    Inputs are rows of the unit cube, ``(n, d)``, or ``(n, side, side, 1)`` if ``square``, for attacks that move patches
    of a picture.
    """
    space = oracle.model.data.space

    def answer(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return oracle.scores(x.astype(np.float64)).astype(np.float32)

    if square:
        return BlackBoxClassifierNeuralNetwork(
            answer,
            input_shape=(*space.shape, 1),
            nb_classes=space.classes,
            channels_first=False,
            clip_values=(0.0, 1.0),
        )
    return BlackBoxClassifier(answer, input_shape=(space.features,), nb_classes=space.classes, clip_values=(0.0, 1.0))


def white_box(oracle: Oracle) -> Any:  # as above
    """A copy of the model in the attacker's hands: gradients and predictions cost no query.

    Raises ScenarioError for a model that the toolbox cannot take gradients of.
    """
    from sklearn.linear_model import LogisticRegression

    if not isinstance(oracle.model.sklearn_model, LogisticRegression):
        raise ScenarioError(f"white-box attacks need a model with gradients, and {oracle.model.name!r} offers none")
    return ScikitlearnLogisticRegression(model=oracle.model.sklearn_model, clip_values=(0.0, 1.0))
