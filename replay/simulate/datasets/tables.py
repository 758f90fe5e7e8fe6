"""What the two tabular data sets share: a model on scaled columns, and rows of another domain."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from replay.simulate.datasets.examples import SPLIT_SEED, Array, Examples, Labels


def train_network(examples: Examples, seed: int, hidden: int, rounds: int) -> Any:
    """One hidden layer behind standardised columns."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    network = MLPClassifier((hidden,), alpha=1e-2, max_iter=rounds, batch_size=64, random_state=seed, tol=0.0)
    return fitted(make_pipeline(StandardScaler(), network), examples.x, examples.y)


def fitted(model: Any, x: Array, y: Labels) -> Any:
    """The model fitted on ``(x, y)``. Few rounds are wanted: that the loss could fall further is no warning."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(x, y)


def foreign_rows(count: int, features: int) -> Array:
    """Another table pressed into this service's ranges: columns of the digits data, rank-scaled to the unit cube.

    What a thief without rows of the right kind sends: real data with its own dependence between columns, ``(count,
    features)``. The most varied columns are taken; rows are drawn with replacement and a little noise.
    """
    from sklearn.datasets import load_digits

    x = np.asarray(load_digits().data, dtype=np.float64)
    x = x[:, np.argsort(-x.std(axis=0), kind="stable")[:features]]
    rng = np.random.default_rng(SPLIT_SEED)
    rows = x[rng.integers(len(x), size=count)] + rng.normal(0.0, 0.5, size=(count, features))
    return np.asarray((rows - rows.min(axis=0)) / np.ptp(rows, axis=0))
