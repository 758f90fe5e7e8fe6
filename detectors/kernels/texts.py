"""Texts that lie one behind the other in one run of bytes."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]

MODULUS: Final = (1 << 31) - 1


@kernel
def identify(raw: Array, ends: Array, points: Array, out: Array) -> None:
    """``out[i]``: of text i the values of two polynomials modulo ``MODULUS``, one behind the other.

    Their coefficients are the text's length plus one, then its bytes, three at a time: no two texts have the same.

    Args:
        raw: uint8. ends: where each text ends, int64 ``(n,)``. points: two, int64 from 1 to ``MODULUS - 1``.
    """
    begin = 0
    for i in range(len(ends)):
        end = ends[i]
        first = np.int64(end - begin + 1)
        second = first
        at = begin
        while at < end:
            word = np.int64(raw[at])
            if at + 1 < end:
                word |= np.int64(raw[at + 1]) << 8
            if at + 2 < end:
                word |= np.int64(raw[at + 2]) << 16
            # Modulo 2**31 - 1 a number is its lower 31 bits and the others added up: less than twice the modulus.
            first = first * points[0] + word
            first = (first & MODULUS) + (first >> 31)
            first -= MODULUS if first >= MODULUS else 0
            second = second * points[1] + word
            second = (second & MODULUS) + (second >> 31)
            second -= MODULUS if second >= MODULUS else 0
            at += 3
        out[i] = (first << 31) | second
        begin = end


@kernel
def pick(raw: Array, ends: Array, rows: Array, out: Array) -> None:
    """The bytes of some texts, in that order."""
    to = 0
    for row in rows:
        for at in range(ends[row - 1] if row else 0, ends[row]):
            out[to] = raw[at]
            to += 1
