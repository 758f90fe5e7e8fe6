"""Which addresses need no further look: IPv4 ones as they are written canonically."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]

_ZERO: Final = ord("0")
_DOT: Final = ord(".")


@kernel
def all_plain_ipv4(raw: Array, lengths: Array) -> bool:
    """Is each text four numbers from 0 to 255 in decimal without leading zeros, a dot between two?

    Args:
        raw: bytes of all texts, one behind the other, uint8. lengths: of each in bytes, int64 ``(n,)``.
    """
    at = 0
    for length in lengths:
        end = at + length
        for octet in range(4):
            begin = at
            value = np.int64(0)
            while at < end and at < begin + 3 and raw[at] >= _ZERO and raw[at] <= _ZERO + 9:
                value = value * 10 + (raw[at] - _ZERO)
                at += 1
            if at == begin or value > 255 or (at > begin + 1 and raw[begin] == _ZERO):
                return False
            if octet < 3:
                if at >= end or raw[at] != _DOT:
                    return False
                at += 1
        if at != end:
            return False
    return True
