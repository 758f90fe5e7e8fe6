"""What stays of a picture when it is shifted, turned a little, or covered with noise."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.batch import FloatArray
from detectors.detail import image_axes
from detectors.exact import grid_weights
from detectors.pictures import is_picture

#: Waves per height and width of the picture: the slowest ones but for brightness.
WAVES: Final = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0), (1, 2), (2, 1), (1, -2), (2, -1), (2, 2), (2, -2))


def outline_weights(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Cosines, then sines, of the 12 slowest waves over a picture, ``(24, d)``; no rows if ``shape`` is no picture."""
    if not is_picture(shape):
        return np.empty((0, int(np.prod(shape))), dtype=np.float32)
    y, x, height, width = image_axes(shape)
    phases = [2.0 * np.pi * (v * y / height + u * x / width) for v, u in WAVES]
    return grid_weights(np.concatenate([np.cos(phases), np.sin(phases)]))


def amplitudes(sums: FloatArray) -> FloatArray:
    """Strength of each wave, ``(n, 12)``, from sums with the weights ``(n, 24)``.

    The modulus of a Fourier coefficient: no shift changes it as long as the object stays in the picture.
    """
    half = sums.shape[1] // 2
    return np.asarray(np.sqrt(sums[:, :half] ** 2 + sums[:, half:] ** 2))
