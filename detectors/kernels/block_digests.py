"""Fingerprints of rows and of their blocks in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]


@kernel
def block_digests(words: Array, key: Array, block: Array, out: Array, hashes: Array) -> None:
    """Multilinear hashes modulo 2**64 of ``words (n, d)`` with ``key (d,)``, whole and by block.

    ``out (n,)``: of the whole row. ``hashes (n, blocks)``: the highest byte of that of each block; ``block (d,)`` says
    which one a word is in, ``blocks`` that it is in none.
    """
    sums = np.empty(hashes.shape[1] + 1, dtype=np.uint64)
    for i in range(words.shape[0]):
        sums[:] = np.uint64(0)
        for j in range(words.shape[1]):
            sums[block[j]] += np.uint64(words[i, j]) * key[j]
        total = sums[-1]
        for b in range(hashes.shape[1]):
            total += sums[b]
            hashes[i, b] = np.uint8(sums[b] >> np.uint64(56))
        out[i] = total
