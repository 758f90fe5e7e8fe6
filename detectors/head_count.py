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
    names = list(accounts)
    digests = text_digests([salt, *names]).view(np.uint64)
    hashes: Heads = mixed(digests[1:] ^ mixed(digests[:1]))
    return _smallest(hashes)


def joined(samples: Sequence[Heads]) -> Heads:
    """A sample of all accounts that are in any of the samples' populations."""
    return _smallest(np.concatenate([NOBODY, *samples]))


def count(sample: Heads) -> int:
    """How many accounts it is a sample of: exact below ``SAMPLE``, then (k - 1) / (k-th smallest hash as a share)."""
    if len(sample) < SAMPLE:
        return len(sample)
    return round((SAMPLE - 1) / ((float(sample[-1]) + 1.0) / 2.0**64))


def _smallest(hashes: Heads) -> Heads:
    smallest: Heads = np.unique(hashes)[:SAMPLE]
    return smallest
