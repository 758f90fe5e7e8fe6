"""How rough pictures are."""

from __future__ import annotations

import numpy as np

from detectors.batch import FloatArray
from detectors.kernels.pictures import laplacian_share
from detectors.pictures import as_images


def roughness(pictures: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Energy of the 5-point Laplacian over energy, ``(n,)``: about 20 for white noise, near 0 for smooth pictures.

    ``pictures`` is ``(n, d)`` with rows of ``shape`` (see ``detectors.pictures``). The border is repeated outwards. A
    picture of zeros has roughness 0.
    """
    out = np.empty(len(pictures))
    laplacian_share(np.ascontiguousarray(as_images(pictures, shape)), out)
    return out
