"""Where the fine detail of an input lies: blocks of neighbouring features, and weights that see nothing but detail."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.batch import BoolArray, IntArray
from detectors.pictures import as_images, as_rows, is_picture

#: Blocks that an input has; the tiles of a picture, one block in each, lie in four rows of four.
BLOCKS: Final = 16
_TILES: Final = 4
#: Most pixels along a picture's block: a patch laid over much of a picture leaves small places alone.
_SIDE: Final = 3


def detail_weights(signs: npt.NDArray[np.int8], shape: tuple[int, ...]) -> npt.NDArray[np.int8]:
    """Weights ``(m, d)`` that give random sums with ``signs`` ``(m, d)`` of the detail of an input of ``shape``.

    The detail of a picture is what two 5-point Laplacians leave (beyond its border a picture is zero); of any other
    input it is the input. Laplacians are symmetric, so they are applied to the signs. Whole numbers of at most 64.
    """
    if not is_picture(shape):
        return signs.copy()
    images = as_images(signs.astype(np.int64), shape)
    return as_rows(_laplacian(_laplacian(images)), shape).astype(np.int8)


def block_of_feature(shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Block of each feature, ``(d,)``, ``BLOCKS`` if it is in none.

    A picture has one in each tile, of 3 pixels by 3 at a random place; features of other inputs are dealt out at
    random.
    Each block has features if there are enough of them.
    """
    d = int(np.prod(shape))
    if not is_picture(shape):
        blocks = np.empty(d, dtype=np.uint8)
        blocks[rng.permutation(d)] = np.arange(d) % BLOCKS
        return blocks
    rows, columns, height, width = image_axes(shape)
    blocks = np.full(d, BLOCKS, dtype=np.uint8)
    for tile in range(BLOCKS):
        down, across = divmod(tile, _TILES)
        blocks[_within(rows, height, down, rng) & _within(columns, width, across, rng)] = tile
    return blocks


def _within(places: IntArray, length: int, tile: int, rng: np.random.Generator) -> BoolArray:
    """Which places along an axis are in the block of its ``tile``."""
    mine = np.flatnonzero(np.arange(length) * _TILES // length == tile)
    side = min(_SIDE, len(mine))
    begin = mine[0] + int(rng.integers(len(mine) - side + 1))
    return np.asarray((places >= begin) & (places < begin + side))


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
