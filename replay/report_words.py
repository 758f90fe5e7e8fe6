"""Figures in words, the same in the page and in the terminal."""

from __future__ import annotations

import math
from typing import Final

from replay.intervals import Share

#: Stands where there is no figure.
UNKNOWN: Final = "-"


def number(value: float | None) -> str:
    """Three significant digits at most below 1000, whole numbers above; a dash for what is not known."""
    if value is None or math.isnan(value):
        return UNKNOWN
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if abs(value) >= 1e6:
        return f"{value:.1e}"
    if abs(value) >= 1000 or float(value).is_integer():
        return f"{value:.0f}"
    return f"{value:.3g}"


def percent(value: float | None) -> str:
    """``97 %``; one decimal where it tells more."""
    if value is None:
        return UNKNOWN
    return f"{value * 100:.1f}".removesuffix(".0") + " %"


def share_words(share: Share) -> str:
    """``100 % (95 % interval 51 to 100 %)``."""
    if share.share is None or share.low is None or share.high is None:
        return "nobody to tell of"
    low, high = percent(share.low).removesuffix(" %"), percent(share.high)
    return f"{percent(share.share)} (95 % interval {low} to {high})"


def span_words(seconds: float | None) -> str:
    """``57 s``, ``9 min 58 s``, ``3.2 h``; a dash for what is not known."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    if seconds < 120:
        return f"{number(round(seconds, 1))} s"
    if seconds < 7200:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{number(seconds / 3600)} h"
