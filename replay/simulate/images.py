"""Pictures the simulated clients send: scikit-learn's digits, split for good, and 8x8 patches of real photographs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

SIDE: Final = 8
PIXELS: Final = SIDE * SIDE
CLASSES: Final = 10

Pool = Literal["a", "b"]

#: The split never changes: a scenario's seed must not move a training image into the traffic.
_SPLIT_SEED: Final = 20251121


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Grey pictures, float64 ``(n, 64)`` in [0, 1], and the digit each shows, int64 ``(n,)``."""

    x: Array
    y: Labels

    def __len__(self) -> int:
        return len(self.y)

    def of_class(self, digit: int) -> Labels:
        """Indices of the pictures that show ``digit``."""
        return np.flatnonzero(self.y == digit).astype(np.int64)


@cache
def training_images() -> Images:
    """The half of the digits the served models learn from; none of it is ever sent by an honest client."""
    return _splits()["train"]


@cache
def traffic_images(pool: Pool) -> Images:
    """One half of the held-out digits.

    Two pools, so that a baseline fitted on traffic from pool ``a`` meets only unseen pictures in traffic from ``b``.
    """
    return _splits()[pool]


@cache
def _splits() -> dict[str, Images]:
    from sklearn.datasets import load_digits  # loaded late: a second of import time that replaying does not need

    digits = load_digits()
    x = np.asarray(digits.data, dtype=np.float64) / 16.0
    y = np.asarray(digits.target, dtype=np.int64)
    rng = np.random.default_rng(_SPLIT_SEED)
    chosen: dict[str, list[int]] = {"train": [], "a": [], "b": []}
    for digit in range(CLASSES):
        rows = rng.permutation(np.flatnonzero(y == digit)).tolist()
        half, rest = len(rows) // 2, (len(rows) - len(rows) // 2) // 2
        chosen["train"] += rows[:half]
        chosen["a"] += rows[half : half + rest]
        chosen["b"] += rows[half + rest :]
    return {name: Images(x[sorted(rows)], y[sorted(rows)]) for name, rows in chosen.items()}


@cache
def photo_patches(count: int = 4000) -> Array:
    """Patches of the two photographs scikit-learn ships, grey, averaged down to 8x8: ``(count, 64)`` in [0, 1].

    The pool a thief without digits of their own would use. Square patches of 32, 64 and 128 pixels; flat ones
    (standard deviation below 0.05) are passed over. Raises ImportError if Pillow, which reads them, is missing.
    """
    from sklearn.datasets import load_sample_images

    photos = [np.asarray(image, dtype=np.float64).mean(axis=2) / 255.0 for image in load_sample_images().images]
    rng = np.random.default_rng(_SPLIT_SEED)
    patches: list[Array] = []
    while len(patches) < count:
        photo = photos[int(rng.integers(len(photos)))]
        size = int(rng.choice([32, 64, 128]))
        top = int(rng.integers(photo.shape[0] - size + 1))
        left = int(rng.integers(photo.shape[1] - size + 1))
        cell = size // SIDE
        patch = photo[top : top + size, left : left + size].reshape(SIDE, cell, SIDE, cell).mean(axis=(1, 3))
        if patch.std() >= 0.05:
            patches.append(patch.reshape(PIXELS))
    return np.stack(patches)
