"""How rough pictures are."""

from __future__ import annotations

import numpy as np

from detectors.batch import FloatArray
from detectors.kernels.pictures import laplacian_share


def is_picture(shape: tuple[int, ...]) -> bool:
    """Two axes of at least 4, and at most one more, of channels."""
    height, width, _ = _axes(shape)
    return len(shape) in (2, 3) and min(height, width) >= 4


def roughness(pictures: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Energy of the 5-point Laplacian over energy, ``(n,)``: about 20 for white noise, near 0 for smooth pictures.

    ``pictures`` is ``(n, d)`` with rows of ``shape``: height and width, with channels first or last (at most 4).
    The border is repeated outwards. A picture of zeros has roughness 0.
    """
    height, width, channels_last = _axes(shape)
    if channels_last:
        images = np.moveaxis(pictures.reshape(len(pictures), height, width, -1), 3, 1)
    else:
        images = pictures.reshape(len(pictures), -1, height, width)
    out = np.empty(len(pictures))
    laplacian_share(np.ascontiguousarray(images), out)
    return out


def _axes(shape: tuple[int, ...]) -> tuple[int, int, bool]:
    """Height, width, and whether channels come last."""
    if len(shape) == 2:
        return shape[0], shape[1], True
    if len(shape) == 3:
        return (shape[0], shape[1], True) if shape[2] <= 4 else (shape[1], shape[2], False)
    return 1, 1, True
