"""Names counted by a keyed hash."""

from __future__ import annotations

from typing import Any, Final

import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]

MODULUS: Final = (1 << 31) - 1
_WORD: Final = (1 << 32) - 1
#: An odd constant of many changing bits: 2**31 times the golden ratio.
_MIX: Final = 0x4F1BBCDD


@kernel
def count_names(raw: Array, lengths: Array, point: int, factor: int, counts: Array) -> None:
    """Add one to ``counts (256,)`` for each name.

    Args:
        raw: bytes of all names, one behind the other. lengths: of each, in bytes.
        point: of the polynomial modulo ``MODULUS`` whose coefficients are a name's bytes and a 1 before them.
        factor: odd, below 2**32; the low word of its product with the value is mixed, as names that differ in their
            last letter only have values side by side, and its highest byte is the bucket.
    """
    at = 0
    for length in lengths:
        value = 1
        for _ in range(length):
            value = (value * point + int(raw[at])) % MODULUS
            at += 1
        mixed = (value * factor) & _WORD
        mixed = ((mixed ^ (mixed >> 15)) * _MIX) & _WORD
        counts[mixed >> 24] += 1
