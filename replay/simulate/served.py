"""The models under watch: really trained classifiers, answering as a server would."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from replay.simulate.datasets import DataSet, data_set
from replay.simulate.datasets.examples import Array
from replay.simulate.datasets.space import DECIMALS
from replay.simulate.scenario import ScenarioError

#: Name of the model: its data set, the version served, and the seed it is trained with.
MODELS: Final = {
    "digits": ("digits", "3", 1),
    "digits-edge": ("digits", "1", 2),
    "mnist": ("mnist", "1", 1),
    "tumours": ("tumours", "1", 1),
    "claims": ("claims", "1", 1),
    "embeddings": ("embeddings", "1", 1),
}


class ServedModel:
    """A classifier trained on a data set, behind an interface that rounds its inputs and scores."""

    def __init__(self, name: str, version: str, data: DataSet, seed: int) -> None:
        self.name = name
        self.version = version
        self.data = data
        #: The fitted scikit-learn model; white-box attackers hold a copy of it.
        self.sklearn_model: Any = data.train(seed)  # scikit-learn ships no types

    def scores(self, x: npt.ArrayLike) -> Array:
        """Class probabilities ``(n, classes)`` rounded to ``DECIMALS``, for inputs ``(n, d)`` rounded likewise."""
        rows = np.round(np.asarray(x, dtype=np.float64).reshape(-1, self.data.space.features), DECIMALS)
        probabilities: Array = np.asarray(self.sklearn_model.predict_proba(rows), dtype=np.float64)
        return probabilities.round(DECIMALS)


@cache
def served_model(name: str) -> ServedModel:
    """The model of that name, trained on first use.

    Raises ScenarioError for a name that is not in ``MODELS``, MissingExtraError without the package its data are in.
    """
    if name not in MODELS:
        raise ScenarioError(f"no served model {name!r}; there are {', '.join(sorted(MODELS))}")
    data, version, seed = MODELS[name]
    return ServedModel(name, version, data_set(data), seed)
