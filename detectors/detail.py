"""Where the fine detail of an input lies: blocks of neighbouring features, and weights that see nothing but detail."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.batch import IntArray
from detectors.pictures import as_images, as_rows, is_picture

#: Blocks that an input has (``detectors.parts`` has those of a picture).
BLOCKS: Final = 16


def detail_weights(signs: npt.NDArray[np.int8], shape: tuple[int, ...]) -> npt.NDArray[np.int8]:
    """Weights ``(m, d)`` that give random sums with ``signs`` ``(m, d)`` of the detail of an input of ``shape``.

    The detail of a picture is what two 5-point Laplacians leave (beyond its border a picture is zero); of any other
    input it is the input. Laplacians are symmetric, so they are applied to the signs. Whole numbers of at most 64.
    """
    if not is_picture(shape):
        return signs.copy()
    images = as_images(signs.astype(np.int64), shape)
    return as_rows(_laplacian(_laplacian(images)), shape).astype(np.int8)


def block_of_feature(d: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Block of each of ``d`` features that are no picture, dealt out at random; each has some if there are enough."""
    blocks = np.empty(d, dtype=np.uint8)
    blocks[rng.permutation(d)] = np.arange(d) % BLOCKS
    return blocks


def image_axes(shape: tuple[int, ...]) -> tuple[IntArray, IntArray, int, int]:
    """Row and column of each feature of a picture, ``(d,)``, its height and its width."""
    image = as_images(np.zeros((1, int(np.prod(shape))), dtype=np.int64), shape)
    height, width = image.shape[2:]
    rows = image + np.arange(height)[:, None]
    columns = image + np.arange(width)
    return as_rows(rows, shape)[0], as_rows(columns, shape)[0], height, width


def _laplacian(images: IntArray) -> IntArray:
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    around = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1] + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
    return np.asarray(4 * images - around)
