"""The parts of a picture: short runs of pixels, told by what changes along them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]

#: Larger changes than this, in whole steps, and those to or from a missing value count as none.
_MOST_STEPS: Final = np.float32(1e9)
_NONE: Final = np.uint32(0xFFFFFFFF)
#: Multiplier of MurmurHash3's finalizer.
_MIX: Final = np.uint32(0x85EBCA6B)


@kernel
def least_runs(x: Array, per_step: Any, starts: Array, strides: Array, length: int, keys: Array, hashes: Array) -> None:
    """One byte of the least hash of all runs in each bin; 0 for a bin without one.

    A run is ``length`` changes from a pixel to the next but ``stride`` ones, in whole steps; its hash is their sum
    weighted with ``keys``, modulo 2**32, mixed. Runs without any change have none.

    Args:
        x: pictures, float32 ``(n, d)``. per_step: steps in a unit, float32.
        starts: 0 where runs begin in either direction, else 2**32 - 1, uint32 ``(2, d)``; strides: int64 ``(2,)``.
        length: at most 6. keys: odd, int32 ``(6,)``, 0 from ``length`` on.
        hashes: uint8 ``(n, bins)``, bins a power of two; the first half is of the first direction.
    """
    n, d = x.shape
    half = hashes.shape[1] // 2
    changes, runs = np.zeros(d, dtype=np.int32), np.zeros(d, dtype=np.uint32)
    least = np.empty(2 * half, dtype=np.uint32)
    k0, k1, k2, k3, k4, k5 = keys[0], keys[1], keys[2], keys[3], keys[4], keys[5]
    for i in range(n):
        least[:] = _NONE
        for way in range(2):
            # Loops over slices, without an index that might be negative, become vector instructions.
            s, first = strides[way], starts[way]
            here, there = x[i, : d - s], x[i, s:]
            for j in range(d - s):
                steps = (there[j] - here[j]) * per_step
                changes[j] = np.int32(np.rint(steps)) if abs(steps) < _MOST_STEPS else np.int32(0)
            m = d - length * s
            c0, c1 = changes[:m], changes[min(1, length - 1) * s :]
            c2, c3 = changes[min(2, length - 1) * s :], changes[min(3, length - 1) * s :]
            c4, c5 = changes[min(4, length - 1) * s :], changes[min(5, length - 1) * s :]
            for j in range(m):
                h = np.uint32(c0[j] * k0 + c1[j] * k1 + c2[j] * k2 + c3[j] * k3 + c4[j] * k4 + c5[j] * k5)
                h ^= h >> np.uint32(16)
                # A run without a change has hash 0, and so becomes the largest number, as what is no run does.
                runs[j] = (h * _MIX - np.uint32(1)) | first[j]
            mine = least[way * half : (way + 1) * half]
            for j in range(m):
                b = (runs[j] >> np.uint32(8)) & np.uint32(half - 1)
                mine[b] = min(mine[b], runs[j])
        for b in range(2 * half):
            hashes[i, b] = 0 if least[b] == _NONE else np.uint8(1 + least[b] % np.uint32(255))
