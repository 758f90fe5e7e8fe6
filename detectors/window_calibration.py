"""What a window detector scores on clean windows it was not fitted on: the ground its limits stand on."""

from __future__ import annotations

import math
from typing import Final, Protocol

import numpy as np

from detectors.batch import BoolArray, EventBatch, IntArray
from detectors.contract import Params, Summary, WindowDetector, merge
from detectors.quota import fit_quota, window_index, within_quota

_SPLITS: Final = 3
_TIME_FOLDS: Final = 4
#: With fewer clients than this they are not divided; windows are then unseen in time only.
_FEWEST_CLIENTS: Final = 4
#: Resampled windows scored: at least so many in all; a longer recording gives at most so many.
_LEAST_DRAWS: Final = 500
_MOST_DRAWS: Final = 2000


class WindowDetectorType(Protocol):
    """A class of window detectors: fits parameters, makes a detector from them."""

    def fit(self, clean: EventBatch) -> Params: ...

    def __call__(self, params: Params) -> WindowDetector: ...


def calibrate_windows(
    detector: WindowDetectorType, clean: EventBatch, *, window_s: float, seed: int, sample_rows: int = 500
) -> Params:
    """Scores of clean windows, each out of sample in clients and in time.

    The clients are divided in two at random (three times over) and the time in four. For each part the detector is fitted on
    the other clients in the other times; then windows of the part are scored: for each natural window, random subsets
    of at least half of its held-out clients, each with all its rows there. So scores vary as they do when other
    clients come, at another time, and when a window belongs to few of them. Traffic enters under the quota of
    ``detectors.quota``; fit the detector itself on ``clean_rows`` so that reference and windows are alike.

    Args:
        detector: what fits and makes the detector; a class that keeps the ``WindowDetector`` contract.
        clean: clean traffic of one model in event order.
        window_s: length of a window, seconds.
        seed: of the resampling.
        sample_rows: rows a window's sample keeps.

    Returns:
        ``scores`` ascending, ``windows`` (natural windows they come from: the sample size that counts, for resampling
        adds no information), ``quota`` and ``window_s``. Without clean traffic enough to fit on a part of it and to
        score another, ``windows`` is 0, and ``fit_limits`` makes limits that never alarm.
    """
    quota = fit_quota(clean, window_s)
    clean = clean.take(within_quota(clean, window_s, quota))
    rng = np.random.default_rng(seed)
    window = window_index(clean.ts, window_s)
    times = np.unique(window)
    time_fold = np.searchsorted(times, window) * _TIME_FOLDS // len(times)
    draws = math.ceil(_LEAST_DRAWS / (2 * _SPLITS * len(times)))
    share = _MOST_DRAWS / (2 * _SPLITS * len(times) * draws)
    scores: list[float] = []
    told: set[int] = set()
    for fold in np.unique(time_fold).tolist():
        for mine, other in _parts(clean, rng):
            try:
                fitted = detector(detector.fit(clean.take(other & (time_fold != fold))))
            except ValueError:  # too few rows on the other side
                continue
            held_out = np.flatnonzero(mine & (time_fold == fold))
            mine_times = np.unique(window[held_out])
            for w in mine_times[rng.random(len(mine_times)) < share].tolist():
                natural = clean.take(held_out[window[held_out] == w])
                found = [fitted.score(_summary(fitted, _some(natural, rng), sample_rows)) for _ in range(draws)]
                scores += [score for score in found if not math.isnan(score)]
                told.update([w] if not all(map(math.isnan, found)) else [])
    return {
        "scores": np.sort(np.array(scores, dtype=np.float64)),
        "windows": np.asarray(len(told)),
        "quota": np.asarray(quota),
        "window_s": np.asarray(window_s),
    }


def clean_rows(clean: EventBatch, window_s: float) -> EventBatch:
    """The rows of clean traffic that windows would take in: what a window detector is to be fitted on."""
    return clean.take(within_quota(clean, window_s, fit_quota(clean, window_s)))


def _parts(clean: EventBatch, rng: np.random.Generator) -> list[tuple[BoolArray, BoolArray]]:
    """Pairs (held out, fitted on) of rows by client."""
    clients = list(dict.fromkeys(clean.clients))
    if len(clients) < _FEWEST_CLIENTS:
        every = np.ones(len(clean), dtype=np.bool_)
        return [(every, every)]
    parts = []
    for _ in range(_SPLITS):
        place = dict(zip(clients, rng.permutation(len(clients)).tolist(), strict=True))
        first = np.array([place[c] % 2 == 0 for c in clean.clients], dtype=np.bool_)
        parts += [(first, ~first), (~first, first)]
    return parts


def _some(window: EventBatch, rng: np.random.Generator) -> EventBatch:
    """The rows of a random half or more of the window's clients."""
    rows = list(window.by_client().values())
    wanted = int(rng.integers(math.ceil(len(rows) / 2), len(rows) + 1))
    chosen: list[IntArray] = [rows[i] for i in rng.permutation(len(rows))[:wanted].tolist()]
    return window.take(np.sort(np.concatenate(chosen)))


def _summary(detector: WindowDetector, batch: EventBatch, sample_rows: int) -> Summary:
    empty = detector.summarise(batch.take(np.empty(0, dtype=np.int64)))
    return merge(empty, detector.summarise(batch), sample_rows)
