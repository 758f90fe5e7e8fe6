"""Keyed fingerprints of inputs: equal inputs have equal ones, and nobody without the key can aim for a collision."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.batch import EventBatch
from detectors.contract import Params
from detectors.exact import row_blocks
from detectors.kernels.measures import fnv1a, multilinear

_KEY_BITS: Final = 64


def seed_of(clean: EventBatch) -> int:
    """A seed that whoever lacks the clean traffic or its salt cannot guess, and that the same two always give."""
    return int.from_bytes(secret_of(clean), "little")


def secret_of(clean: EventBatch) -> bytes:
    """The 16 bytes of ``seed_of``: BLAKE2b of the inputs, keyed with the salt."""
    return hashlib.blake2b(np.ascontiguousarray(clean.x).tobytes(), digest_size=16, key=clean.salt).digest()


def digest_key(seed: int, d: int) -> npt.NDArray[np.uint64]:
    """Random odd multipliers, uint64 ``(d,)``."""
    return np.random.default_rng([seed, d]).integers(0, 1 << 63, size=d, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


def digests(x: npt.NDArray[np.float32], key: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Multilinear hash of each row modulo 2**64 (Lemire & Kaser 2014, arXiv 1202.4961), int64 ``(n,)``.

    Two different rows collide with probability at most 2**-32 over the choice of key. Bits are compared, so a missing
    value equals a missing value; -0.0 counts as 0.0.
    """
    out = np.empty(len(x), dtype=np.uint64)
    for block in row_blocks(len(x), x.shape[1]):
        multilinear((x[block] + np.float32(0.0)).view(np.uint32), key, out[block])
    return out.view(np.int64)


def text_digests(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Fingerprints of texts, int64 ``(n,)``, never 0, the same in every process.

    64-bit FNV-1a: quick, but collisions can be made. Use it only where whoever makes one gains nothing.
    """
    raw, lengths = text_bytes(texts)
    out = np.empty(len(texts), dtype=np.uint64)
    fnv1a(raw, np.cumsum(lengths), out)
    return np.maximum(out, np.uint64(1)).view(np.int64)


def text_bytes(texts: Sequence[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """UTF-8 of all texts, one behind the other, and the length of each in bytes, ``(n,)``."""
    joined = "".join(texts)
    if joined.isascii():
        raw, lengths = joined.encode(), np.fromiter(map(len, texts), np.int64, len(texts))
    else:
        each = [text.encode("utf-8", "surrogatepass") for text in texts]
        raw, lengths = b"".join(each), np.fromiter(map(len, each), np.int64, len(each))
    return np.frombuffer(raw, np.uint8), lengths


def mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[Any]:
    """The finalizer of SplitMix64 (Steele, Lea, Flood 2014)."""
    z = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def params_digest(params: Params) -> bytes:
    """The same for parameters that are the same, byte for byte."""
    digest = hashlib.blake2b(digest_size=16)
    for name, value in sorted(params.items()):
        digest.update(f"{name} {value.dtype} {value.shape} ".encode() + np.ascontiguousarray(value).tobytes())
    return digest.digest()
