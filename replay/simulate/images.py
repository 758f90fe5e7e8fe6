"""Pictures the simulated clients send: scikit-learn's digits, split for good, and patches of real photographs."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np

from replay.simulate.datasets.examples import SPLIT_SEED, Array, Examples, Pool, Split, split

SIDE: Final = 8
PIXELS: Final = SIDE * SIDE
CLASSES: Final = 10


@cache
def training_images() -> Examples:
    """The half of the digits the served models learn from; none of it is ever sent by an honest client."""
    return digits_split().train


@cache
def traffic_images(pool: Pool) -> Examples:
    """One half of the held-out digits.

    Two pools, so that a baseline fitted on traffic from pool ``a`` meets only unseen pictures in traffic from ``b``.
    """
    return digits_split().pool(pool)


@cache
def digits_split() -> Split:
    """The digits: float64 ``(n, 64)`` in [0, 1], and the digit each shows, divided for good."""
    from sklearn.datasets import load_digits  # loaded late: a second of import time that replaying does not need

    digits = load_digits()
    return split(np.asarray(digits.data, dtype=np.float64) / 16.0, np.asarray(digits.target, dtype=np.int64))


@cache
def photo_patches(count: int = 4000, side: int = SIDE) -> Array:
    """Patches of the two photographs scikit-learn ships, grey, averaged down: ``(count, side * side)`` in [0, 1].

    The pool a thief without digits of their own would use. Square patches of 4, 8 and 16 times
    ``side`` (for pictures larger than the digits 2, 4 and 8 times); flat ones
    (standard deviation below 0.05) are passed over. Raises ImportError if Pillow, which reads them, is missing.
    """
    from sklearn.datasets import load_sample_images

    scales = [4, 8, 16] if side <= SIDE else [2, 4, 8]
    photos = [np.asarray(image, dtype=np.float64).mean(axis=2) / 255.0 for image in load_sample_images().images]
    rng = np.random.default_rng(SPLIT_SEED)
    patches: list[Array] = []
    while len(patches) < count:
        photo = photos[int(rng.integers(len(photos)))]
        size = int(rng.choice(scales)) * side
        top = int(rng.integers(photo.shape[0] - size + 1))
        left = int(rng.integers(photo.shape[1] - size + 1))
        cell = size // side
        patch = photo[top : top + size, left : left + size].reshape(side, cell, side, cell).mean(axis=(1, 3))
        if patch.std() >= 0.05:
            patches.append(patch.reshape(side * side))
    return np.stack(patches)
