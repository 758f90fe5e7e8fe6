"""How many different accounts there were, from small samples that merge: bottom-k by hash (Bar-Yossef et al. 2002)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.digest import mixed, text_digests

#: Accounts a sample keeps: up to so many are counted exactly, more with a standard error of 6 %.
SAMPLE: Final = 256

#: Salted hashes of accounts, the smallest ones, ascending.
Heads = npt.NDArray[np.uint64]

NOBODY: Final[Heads] = np.empty(0, dtype=np.uint64)


def heads(accounts: Iterable[str], salt: str) -> Heads:
    """A sample of accounts. ``salt`` should be hard to guess: whoever knows it can choose names that look many."""
    return added(NOBODY, hashed(list(accounts), salt))


def hashed(accounts: Sequence[str], salt: str) -> npt.NDArray[np.uint64]:
    """The salted hash of each account, ``(n,)``."""
    digests = text_digests([salt, *accounts]).view(np.uint64)
    hashes: npt.NDArray[np.uint64] = mixed(digests[1:] ^ mixed(digests[:1]))
    return hashes


def added(sample: Heads, hashes: npt.NDArray[np.uint64]) -> Heads:
    """The sample with these accounts (``hashed``) in its population; the same one may come many times."""
    if len(sample) == SAMPLE:  # mostly none of many comes in
        hashes = hashes[hashes < sample[-1]]
    return joined([sample, hashes])


def joined(samples: Sequence[Heads]) -> Heads:
    """A sample of all accounts that are in any of the samples' populations."""
    smallest: Heads = np.unique(np.concatenate([NOBODY, *samples]))[:SAMPLE]
    return smallest


def count(sample: Heads) -> int:
    """How many accounts it is a sample of: exact below ``SAMPLE``, then (k - 1) / (k-th smallest hash as a share)."""
    if len(sample) < SAMPLE:
        return len(sample)
    return round((SAMPLE - 1) / ((float(sample[-1]) + 1.0) / 2.0**64))
