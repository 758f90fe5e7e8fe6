"""Where the fine detail of an input lies: blocks of neighbouring features, and weights that see nothing but detail."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.batch import IntArray
from detectors.roughness import is_picture

#: Blocks that an input is cut into; tiles of a picture lie in four rows of four.
BLOCKS: Final = 16
_TILES: Final = 4


def detail_weights(signs: npt.NDArray[np.int8], shape: tuple[int, ...]) -> npt.NDArray[np.int8]:
    """Weights ``(m, d)`` that give random sums with ``signs`` ``(m, d)`` of the detail of an input of ``shape``.

    The detail of a picture is what two 5-point Laplacians leave (beyond its border a picture is zero); of any other
    input it is the input. Laplacians are symmetric, so they are applied to the signs. Whole numbers of at most 64.
    """
    if not is_picture(shape):
        return signs.copy()
    images = _images(signs.astype(np.int64), shape)
    return _flat(_laplacian(_laplacian(images)), shape).astype(np.int8)


def block_of_feature(shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Block of each feature, ``(d,)``: tiles of a picture; features of other inputs are dealt out at random.

    Each block has features if there are enough of them.
    """
    d = int(np.prod(shape))
    if not is_picture(shape):
        blocks = np.empty(d, dtype=np.uint8)
        blocks[rng.permutation(d)] = np.arange(d) % BLOCKS
        return blocks
    rows, columns, height, width = image_axes(shape)
    return np.asarray(rows * _TILES // height * _TILES + columns * _TILES // width, dtype=np.uint8)


def image_axes(shape: tuple[int, ...]) -> tuple[IntArray, IntArray, int, int]:
    """Row and column of each feature of a picture, ``(d,)``, its height and its width."""
    image = _images(np.zeros((1, int(np.prod(shape))), dtype=np.int64), shape)
    _, height, width, _ = image.shape
    rows = image + np.arange(height)[None, :, None, None]
    columns = image + np.arange(width)[None, None, :, None]
    return _flat(rows, shape)[0], _flat(columns, shape)[0], height, width


def _laplacian(images: IntArray) -> IntArray:
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    around = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
    return np.asarray(4 * images - around)


def _images(rows: IntArray, shape: tuple[int, ...]) -> IntArray:
    """Rows ``(n, d)`` as ``(n, height, width, channels)``."""
    images = rows.reshape(len(rows), *shape)
    return np.moveaxis(images, 1, 3) if _channels_first(shape) else images.reshape(*images.shape[:3], -1)


def _flat(images: IntArray, shape: tuple[int, ...]) -> IntArray:
    images = np.moveaxis(images, 3, 1) if _channels_first(shape) else images
    return images.reshape(len(images), -1)


def _channels_first(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[2] > 4
