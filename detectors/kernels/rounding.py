"""Rounding to significant digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]


@kernel
def to_digits(values: Array, digits: int, powers: Array) -> None:
    """Round float64 ``values (n,)`` in place; ``powers``: 1, 10, 100, ... What is no number stays as it is."""
    for i in range(len(values)):
        exponent = np.floor(np.log10(np.abs(values[i])))
        places = digits - 1 - (int(exponent) if np.isfinite(exponent) else 0)
        power = powers[min(abs(places), len(powers) - 1)]
        if places >= 0:
            values[i] = np.rint(values[i] * power) / power
        else:
            values[i] = np.rint(values[i] / power) * power
