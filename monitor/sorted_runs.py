"""A map from 64-bit keys to times in 16 bytes an entry: sorted runs, small ones merged into larger ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from detectors.batch import FloatArray

Keys = npt.NDArray[np.uint64]

#: A run is merged into the one before it as soon as it has this share of its length.
_SHARE = 4


class _Run(NamedTuple):
    keys: Keys
    times: FloatArray
    newest: float


class SortedRuns:
    """Newest time per key. Lookups and additions are of many keys at once; each costs O(log n) array operations.

    Lengths of the runs fall by ``_SHARE`` or more from one to the next, so there are few, and an entry is copied a few
    times for each fourfold growth. Whatever is older than the floor goes when its run is merged; so at most about a
    third of the entries are out of date while there is traffic.
    """

    def __init__(self) -> None:
        self._runs: list[_Run] = []

    def __len__(self) -> int:
        return sum(len(run.keys) for run in self._runs)

    @property
    def nbytes(self) -> int:
        """Bytes the entries take."""
        return sum(run.keys.nbytes + run.times.nbytes for run in self._runs)

    def newest(self, keys: Keys) -> FloatArray:
        """Time of each key, -inf where it is not known. ``keys`` in ascending order are looked up quickest."""
        out = np.full(len(keys), -np.inf)
        for known, times, _ in self._runs:
            at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
            hit = np.flatnonzero(known[at] == keys)
            if len(hit):
                out[hit] = np.maximum(out[hit], times[at[hit]])
        return out

    def add(self, keys: Keys, times: FloatArray, floor: float) -> None:
        """Add entries; ``floor``, which never falls, is the time below which nobody asks any more.

        A key may be there already, or come twice, if all its times but the last are below the floor or it.
        """
        if not len(keys):
            return
        order = np.lexsort((times, keys))
        keys, times = keys[order], times[order]
        last = np.append(keys[1:] != keys[:-1], True)
        run = _Run(keys[last], times[last], float(times.max()))
        self._runs = [old for old in self._runs if old.newest >= floor]
        while self._runs and len(self._runs[-1].keys) <= _SHARE * len(run.keys):
            run = _merged(self._runs.pop(), run, floor)
        self._runs.append(run)


def _merged(old: _Run, new: _Run, floor: float) -> _Run:
    """One run of both, without old entries below the floor; where both have a key the new one's time stands."""
    keep = old.times >= floor
    at = np.searchsorted(old.keys, new.keys)
    keep[at[old.keys[np.minimum(at, len(keep) - 1)] == new.keys]] = False
    keys, times = (old.keys, old.times) if keep.all() else (old.keys[keep], old.times[keep])
    place = np.searchsorted(keys, new.keys) + np.arange(len(new.keys))
    rest = np.ones(len(keys) + len(new.keys), dtype=np.bool_)
    rest[place] = False
    out, out_times = np.empty(len(rest), dtype=np.uint64), np.empty(len(rest))
    out[place], out_times[place] = new.keys, new.times
    out[rest], out_times[rest] = keys, times
    return _Run(out, out_times, max(old.newest, new.newest))
