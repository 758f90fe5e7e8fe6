"""What a window detector scores on clean windows it was not fitted on: the ground its limits stand on."""

from __future__ import annotations

import math
from typing import Final, Protocol

import numpy as np

from detectors.batch import BoolArray, EventBatch, IntArray
from detectors.contract import DetectorInfo, Params, Summary, WindowDetector, merge
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

    @property
    def info(self) -> DetectorInfo: ...

    def fit(self, clean: EventBatch) -> Params: ...

    def __call__(self, params: Params) -> WindowDetector: ...


def calibrate_windows(
    detector: WindowDetectorType, clean: EventBatch, *, window_s: float, seed: int, sample_rows: int = 500
) -> Params:
    """Scores of clean windows, out of sample in time, and in clients and time.

    The time is divided in four and, three times over, the clients in two at random.

    * Over time: for each quarter the detector is fitted on the others, and the quarter's windows are scored whole. So
      scores vary as they do when all clients change together, from hour to hour.
    * Over clients: for each quarter and half it is fitted on the other clients in the other quarters. Then, for each
      window, random subsets of at least half of its held-out clients are scored, each client with all its rows there.
      So scores vary as they do when other clients come, and when a window belongs to few of them.

    Traffic enters under the quota of ``detectors.quota``; fit the detector itself on ``clean_rows`` so that reference
    and windows are alike.

    Args:
        detector: what fits and makes the detector; a class that keeps the ``WindowDetector`` contract.
        clean: clean traffic of one model in event order.
        window_s: length of a window, seconds.
        seed: of the resampling.
        sample_rows: rows a window's sample keeps.

    Returns:
        ``time_scores`` and ``client_scores``, ascending; ``windows`` (natural windows they come from: the sample size
        that counts, for resampling adds no information); ``quota`` and ``window_s``. Without clean traffic enough to
        fit on a part of it and to score another, ``windows`` is 0, and ``fit_limits`` makes limits that never alarm.
    """
    quota = fit_quota(clean, window_s)
    clean = clean.take(within_quota(clean, window_s, quota))
    rng = np.random.default_rng(seed)
    window = window_index(clean.ts, window_s)
    times = np.unique(window)
    fold = np.searchsorted(times, window) * _TIME_FOLDS // len(times)
    draws = math.ceil(_LEAST_DRAWS / (2 * _SPLITS * len(times)))
    share = min(_MOST_DRAWS / (2 * _SPLITS * len(times) * draws), 1.0)
    time_scores: list[float] = []
    client_scores: list[float] = []
    told: set[int] = set()
    for f in np.unique(fold).tolist():
        for mine, other in _parts(clean, rng):
            try:
                fitted = detector(detector.fit(clean.take(other & (fold != f))))
            except ValueError:  # too few rows on the other side
                continue
            whole = mine is other
            held_out = np.flatnonzero(mine & (fold == f))
            chosen = np.unique(window[held_out])
            chosen = chosen[rng.random(len(chosen)) < (min(_MOST_DRAWS / len(times), 1.0) if whole else share)]
            for w in chosen.tolist():
                natural = clean.take(held_out[window[held_out] == w])
                drawn = [natural] if whole else [_some(natural, rng) for _ in range(draws)]
                found = [fitted.score(_summary(fitted, batch, sample_rows)) for batch in drawn]
                found = [score for score in found if not math.isnan(score)]
                (time_scores if whole else client_scores).extend(found)
                told.update([w] if found else [])
    return {
        "time_scores": np.sort(np.array(time_scores, dtype=np.float64)),
        "client_scores": np.sort(np.array(client_scores, dtype=np.float64)),
        "windows": np.asarray(len(told)),
        "quota": np.asarray(quota),
        "window_s": np.asarray(window_s),
    }


def clean_rows(clean: EventBatch, window_s: float) -> EventBatch:
    """The rows of clean traffic that windows would take in: what a window detector is to be fitted on."""
    return clean.take(within_quota(clean, window_s, fit_quota(clean, window_s)))


def _parts(clean: EventBatch, rng: np.random.Generator) -> list[tuple[BoolArray, BoolArray]]:
    """Pairs (held out, fitted on) of rows by client; first all clients, which are held out in time only."""
    every = np.ones(len(clean), dtype=np.bool_)
    clients = list(dict.fromkeys(clean.clients))
    parts = [(every, every)]
    if len(clients) < _FEWEST_CLIENTS:
        return parts
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
