"""Intervals for what was counted: a share of trials (Wilson) and a rate over an exposure (exact Poisson)."""

from __future__ import annotations

import math

import msgspec
from scipy.stats import chi2, norm


class Share(msgspec.Struct, frozen=True):
    """``hits`` of ``trials`` with a 95 % Wilson interval; all three figures are None where there were no trials."""

    hits: int
    trials: int
    share: float | None
    low: float | None
    high: float | None


class DailyRate(msgspec.Struct, frozen=True):
    """``count`` events in ``days`` of exposure, per day, with a 95 % exact Poisson interval."""

    count: int
    days: float
    per_day: float
    low: float
    high: float


def wilson(hits: int, trials: int, confidence: float = 0.95) -> Share:
    """Wilson's score interval (1927): ``(p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n)``.

    Raises ValueError unless ``0 <= hits <= trials``.
    """
    if not 0 <= hits <= trials:
        raise ValueError(f"{hits} hits of {trials} trials")
    if trials == 0:
        return Share(0, 0, None, None, None)
    z = float(norm.ppf(0.5 + confidence / 2))
    p = hits / trials
    centre = p + z * z / (2 * trials)
    half = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    low = 0.0 if hits == 0 else (centre - half) / scale
    high = 1.0 if hits == trials else (centre + half) / scale
    return Share(hits, trials, p, low, high)


def poisson_rate(count: int, days: float, confidence: float = 0.95) -> DailyRate:
    """Garwood's interval (1936) from chi-squared quantiles with ``2k`` and ``2k + 2`` degrees of freedom.

    Raises ValueError unless ``count >= 0`` and ``days > 0``.
    """
    if count < 0 or not days > 0:
        raise ValueError(f"{count} events in {days} days")
    tail = (1 - confidence) / 2
    low = float(chi2.ppf(tail, 2 * count)) / 2 if count else 0.0
    high = float(chi2.ppf(1 - tail, 2 * count + 2)) / 2
    return DailyRate(count, days, count / days, low / days, high / days)
