"""Linear algebra without rounding, so that the size of a batch cannot show in a result.

A BLAS product of float64 matrices sums in an order that depends on the matrices' shape, so a row scored alone and the
same row scored among others may differ in the last bit. Numbers on a binary grid do not round at all: differences of
two inputs are multiples of 2**-12 up to 2**8 in size; with weights in multiples of 2**-b, at most 1 in size, every
partial sum over d terms is a multiple of 2**-(12+b) up to 2**(8 + log2 d), which 53 bits hold if b <= 33 - log2 d.
"""

from __future__ import annotations

from math import ceil, log2
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.batch import FloatArray, round_sig

#: Inputs, in units of their scale, are multiples of this and at most ``INPUT_LIMIT`` in size.
INPUT_STEP: Final = 2.0**-12
INPUT_LIMIT: Final = 2.0**7
#: Float64 numbers a block of rows takes while it is standardised: 1 MiB, which stays in the processor's cache; of wide
#: rows up to 32 MiB, so that a block has some.
_BLOCK_NUMBERS: Final = 1 << 17
_MOST_NUMBERS: Final = 1 << 22
_BLOCK_ROWS: Final = 64


def grid_inputs(x: FloatArray) -> FloatArray:
    """``x`` clipped to ±128 and rounded to multiples of 2**-12; must hold no NaN."""
    return np.asarray(np.round(np.clip(x, -INPUT_LIMIT, INPUT_LIMIT) / INPUT_STEP) * INPUT_STEP, dtype=np.float64)


def grid_weights(weights: FloatArray) -> npt.NDArray[np.float32]:
    """``weights`` ``(q, d)``, each at most 1 in size, rounded so that their products with gridded inputs are exact.

    At most 24 bits, so float32 holds them as they are. Raises ValueError for a weight above 1.
    """
    if np.any(np.abs(weights) > 1.0):
        raise ValueError("weights must be at most 1 in size")
    bits = max(min(24, 33 - ceil(log2(max(weights.shape[-1], 1)))), 1)
    return np.asarray(np.round(weights * 2.0**bits) / 2.0**bits, dtype=np.float32)


def row_blocks(rows: int, d: int) -> list[slice]:
    """Slices over ``rows`` rows of ``d`` features that keep float64 copies of a block within 32 MiB."""
    d = max(d, 1)
    step = max(_BLOCK_NUMBERS // d, min(_BLOCK_ROWS, _MOST_NUMBERS // d), 1)
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def figure(value: float) -> float:
    """A figure for a person: 6 significant digits, the same whatever the batch it was computed in."""
    return float(round_sig(np.array([value]))[0])
