"""scikit-learn's handwritten digits, 8 x 8 (BSD; UCI, Alpaydin and Kaynak)."""

from __future__ import annotations

from typing import Any

from replay.simulate.datasets.registry import DataSet
from replay.simulate.datasets.space import picture_space
from replay.simulate.images import CLASSES, SIDE, digits_split, photo_patches
from replay.simulate.sensor import Sensor, varied


def load() -> DataSet:
    return DataSet("digits", picture_space(SIDE, CLASSES), digits_split(), Sensor.draw, photo_patches, _train)


def _train(seed: int) -> Any:
    """Multinomial logistic regression; white-box attackers need its gradients."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=0.3, max_iter=500).fit(*varied(digits_split().train, seed, 4, SIDE))
