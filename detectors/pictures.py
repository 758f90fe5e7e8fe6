"""Which inputs are pictures, and how their features lie in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def is_picture(shape: tuple[int, ...]) -> bool:
    """Height and width of at least 4, and at most one more axis, of channels: the last if there are at most 4 of them,
    else the first."""
    if len(shape) not in (2, 3):
        return False
    return min(shape[1:] if _channels_first(shape) else shape[:2]) >= 4


def as_images(rows: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Rows ``(n, d)`` of pictures of ``shape`` as ``(n, channels, height, width)``."""
    images = rows.reshape(len(rows), *shape)
    if len(shape) == 2:
        return images[:, None]
    return images if _channels_first(shape) else np.moveaxis(images, 3, 1)


def as_rows(images: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """What ``as_images`` was given."""
    last = len(shape) == 3 and not _channels_first(shape)
    return (np.moveaxis(images, 1, 3) if last else images).reshape(len(images), -1)


def _channels_first(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[2] > 4
