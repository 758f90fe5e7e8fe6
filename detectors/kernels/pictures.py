"""Sums over the pixels of pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]


@kernel
def laplacian_share(images: Array, out: Array) -> None:
    """Energy of the 5-point Laplacian over energy, ``out (n,)``, of pictures ``(n, channels, height, width)``.

    The border is repeated outwards; 0 where the energy is. Sums are kept by column, so that vectors can be used.
    """
    n, channels, height, width = images.shape
    energy, rough = np.empty(width), np.empty(width)
    for i in range(n):
        energy[:] = 0.0
        rough[:] = 0.0
        for c in range(channels):
            for y in range(height):
                here = images[i, c, y]
                above, below = images[i, c, max(y - 1, 0)], images[i, c, min(y + 1, height - 1)]
                for x in range(1, width - 1):
                    energy[x] += here[x] * here[x]
                    bend = 4.0 * here[x] - above[x] - below[x] - here[x - 1] - here[x + 1]
                    rough[x] += bend * bend
                for x, beside in ((0, 1), (width - 1, width - 2)):
                    energy[x] += here[x] * here[x]
                    bend = 3.0 * here[x] - above[x] - below[x] - here[beside]
                    rough[x] += bend * bend
        whole = energy.sum()
        out[i] = rough.sum() / whole if whole > 0 else 0.0
