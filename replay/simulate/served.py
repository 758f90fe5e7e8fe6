"""The models under watch: really trained classifiers, answering as a server would."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from replay.simulate.images import PIXELS, Array, Labels, training_images
from replay.simulate.scenario import ScenarioError
from replay.simulate.sensor import Sensor

#: Decimals of inputs and scores on the wire: what the model answered is what was recorded, and files stay small.
DECIMALS: Final = 4

#: Name, version served, and the seed of the training pictures' variation.
MODELS: Final = {"digits": ("3", 1), "digits-edge": ("1", 2)}


class ServedModel:
    """Multinomial logistic regression on digits behind an interface that rounds its inputs and scores."""

    def __init__(self, name: str, version: str, seed: int) -> None:
        from sklearn.linear_model import LogisticRegression

        self.name = name
        self.version = version
        x, y = _varied_training_set(seed)
        #: The fitted scikit-learn model; white-box attackers hold a copy of it.
        self.sklearn_model: Any = LogisticRegression(C=0.3, max_iter=500).fit(x, y)  # scikit-learn ships no types

    def scores(self, x: npt.ArrayLike) -> Array:
        """Class probabilities ``(n, 10)`` rounded to ``DECIMALS``, for inputs ``(n, 64)`` rounded likewise."""
        rows = np.round(np.asarray(x, dtype=np.float64).reshape(-1, PIXELS), DECIMALS)
        probabilities: Array = np.asarray(self.sklearn_model.predict_proba(rows), dtype=np.float64)
        return probabilities.round(DECIMALS)


@cache
def served_model(name: str) -> ServedModel:
    """The model of that name, trained on first use. Raises ScenarioError for a name that is not in ``MODELS``."""
    if name not in MODELS:
        raise ScenarioError(f"no served model {name!r}; there are {', '.join(sorted(MODELS))}")
    version, seed = MODELS[name]
    return ServedModel(name, version, seed)


def _varied_training_set(seed: int, copies: int = 4) -> tuple[Array, Labels]:
    """The training half and ``copies`` variations of it, as seen through as many cameras."""
    images = training_images()
    rng = np.random.default_rng(seed)
    x = [images.x]
    for _ in range(copies):
        sensor = Sensor.draw(rng)
        x.append(np.stack([sensor.capture(image, 0.0) for image in images.x]))
    return np.concatenate(x), np.tile(images.y, copies + 1)
