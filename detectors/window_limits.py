"""From clean window scores to limits that keep a false-alarm budget: bets for weak evidence, one line for strong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import stats

from detectors.batch import FloatArray
from detectors.contract import Params

#: Chance that the clean scores at hand mislead about the tail (each bound holds with 1 - DELTA).
DELTA: Final = 0.05
#: Shares of clean windows above the levels that are bet on.
_SHARES: Final = (0.2, 0.05, 0.01, 0.0)
#: Stakes as a fraction of the largest that cannot ruin.
_STAKES: Final = (0.5, 0.9)
_DAY_S: Final = 86400.0


@dataclass(frozen=True, slots=True, eq=False)
class WindowLimits:
    """Limits of one detector on one model.

    Attributes:
        run_length: windows between false alarms that are promised on average.
        levels: score levels bet on, ascending, ``(j,)``.
        chances: upper bound of a clean window's chance to score above each level, ``(j,)``.
        far: a single window above this alarms.
        calm: a window at or below this counts as back to normal.
    """

    run_length: float
    levels: FloatArray
    chances: FloatArray
    far: float
    calm: float

    @property
    def needed(self) -> float:
        """E-value at which the bets alarm: twice the run length, for half the budget is the single window's."""
        return 2.0 * self.run_length

    def odds(self, score: float) -> FloatArray:
        """The bets' outcome for one window, ``(levels x stakes,)``; its mean under clean traffic is at most 1.

        A stake g on level tau with chance at most p pays 1 + (g / p)(1{score > tau} - p).
        """
        hits = (score > self.levels).astype(np.float64)
        stakes = np.array(_STAKES)[:, None] / self.chances
        return np.asarray(1.0 + stakes * (hits - self.chances), dtype=np.float64).ravel()


def fit_limits(calibration: Params, *, windows_per_day: float, detectors: int = 1) -> WindowLimits:
    """Limits from ``calibrate_windows``.

    Let n be the natural windows behind a set of clean scores, c the run length, k = floor(share n). For each share, the
    level is the score with k/n of the clean scores above it and p = BetaInv(1 - DELTA / j; k + 1, n - k) bounds a
    clean window's chance to pass it. The line for a single window extrapolates: with Q the median and V the mean
    square excess of the upper half,

        far = max(largest clean score, Q + sqrt(V u ln(c))),    u = 2h / ChiSqInv(DELTA; 2h),  h = max(n / 2, 1)

    so that P(score > far) <= 1/(2c) if the excess is no heavier than Rayleigh's, P(excess > t) = exp(-t^2 / V), whose
    V is bounded by u times its estimate. Scaled KS distances have such tails; whether a given model's traffic keeps to
    it beyond what was observed, no calibration can promise. There are two sets of scores, over time and over clients;
    each limit is the larger of the two.

    Args:
        calibration: what ``calibrate_windows`` returned.
        windows_per_day: false alarms wanted per model and day.
        detectors: window detectors that share this budget.
    """
    n = int(calibration["windows"])
    run_length = _DAY_S / float(calibration["window_s"]) / windows_per_day * detectors
    sets = [calibration[name] for name in ("time_scores", "client_scores") if len(calibration[name])]
    if n == 0 or not sets:
        return WindowLimits(run_length, np.empty(0), np.empty(0), math.inf, math.inf)
    above = sorted({math.floor(share * n) for share in _SHARES}, reverse=True)
    levels = np.array([max(_level(scores, k / n) for scores in sets) for k in above])
    chances = np.array([stats.beta.ppf(1 - DELTA / len(above), k + 1, n - k) for k in above])
    far = max(_far(scores, n, run_length) for scores in sets)
    return WindowLimits(run_length, levels, chances, far, float(levels[-1]))


def _level(scores: FloatArray, share: float) -> float:
    return float(scores[min(math.ceil((1 - share) * len(scores)), len(scores)) - 1])


def _far(scores: FloatArray, n: int, run_length: float) -> float:
    middle = float(np.median(scores))
    upper = scores[scores >= middle] - middle
    freedom = max(n, 2)
    bounded = float(np.mean(upper**2)) * freedom / stats.chi2.ppf(DELTA, freedom)
    return max(float(scores[-1]), middle + math.sqrt(bounded * math.log(max(run_length, math.e))))
