"""The served model as the Adversarial Robustness Toolbox wants it: a black box, or a copy with gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from art.estimators.classification import BlackBoxClassifier, BlackBoxClassifierNeuralNetwork
from art.estimators.classification.scikitlearn import ScikitlearnLogisticRegression

from replay.simulate.images import CLASSES, PIXELS, SIDE
from replay.simulate.oracle import Oracle


def black_box(oracle: Oracle, square: bool = False) -> Any:  # the toolbox ships no types
    """A classifier whose every prediction is a query to the oracle.

    Inputs are ``(n, 64)``, or ``(n, 8, 8, 1)`` if ``square``, for attacks that move patches of a picture.
    """

    def answer(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return oracle.scores(x.astype(np.float64)).astype(np.float32)

    if square:
        return BlackBoxClassifierNeuralNetwork(
            answer, input_shape=(SIDE, SIDE, 1), nb_classes=CLASSES, channels_first=False, clip_values=(0.0, 1.0)
        )
    return BlackBoxClassifier(answer, input_shape=(PIXELS,), nb_classes=CLASSES, clip_values=(0.0, 1.0))


def white_box(oracle: Oracle) -> Any:  # as above
    """A copy of the model in the attacker's hands: gradients and predictions cost no query."""
    return ScikitlearnLogisticRegression(model=oracle.model.sklearn_model, clip_values=(0.0, 1.0))
