"""PRADA (Juuti, Szyller, Marchal, Asokan 2019, EuroS&P, arXiv 1805.02628, algorithm 1), from the paper."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import shapiro

Array = npt.NDArray[np.float64]

#: Distances before the first test.
LEAST = 100
#: The paper's line for MNIST; below it the distances are not normal.
DELTA = 0.95


class Prada:
    """One client's queries, in their order.

    For a query ``x`` of predicted class ``c``: ``d = min over y in G_c of ||x - y||₂`` joins ``D``. If ``d > T_c``,
    ``x`` joins ``G_c``, ``d`` joins ``D_Gc`` and ``T_c = max(T_c, mean(D_Gc) - std(D_Gc))``. With more than 100 values
    in ``D``, those within three standard deviations of their mean are put to the Shapiro-Wilk test: an attack if
    ``W < δ``.
    The first query of a class has no distance; it founds ``G_c``.
    """

    def __init__(self, delta: float = DELTA) -> None:
        self._delta = delta
        self._distances: list[float] = []
        self._grown: dict[int, list[Array]] = {}
        self._grown_by: dict[int, list[float]] = {}
        self._lines: dict[int, float] = {}

    def looks_like_an_attack(self, x: Array, label: int) -> bool:
        """Takes in a query ``(d,)`` and its predicted class."""
        grown = self._grown.setdefault(label, [])
        if not grown:
            grown.append(x)
            self._lines[label] = 0.0
            return False
        nearest = float(np.sqrt(((np.stack(grown) - x) ** 2).sum(axis=1).min()))
        self._distances.append(nearest)
        if nearest > self._lines[label]:
            grown.append(x)
            by = self._grown_by.setdefault(label, [])
            by.append(nearest)
            self._lines[label] = max(self._lines[label], float(np.mean(by) - np.std(by)))
        return len(self._distances) > LEAST and self._unnatural()

    def _unnatural(self) -> bool:
        all_of_them = np.array(self._distances)
        middle, spread = all_of_them.mean(), all_of_them.std()
        kept = all_of_them[np.abs(all_of_them - middle) <= 3 * spread]
        if np.ptp(kept) == 0.0:  # as of a health check: nothing varies, and the test is not defined
            return False
        return bool(shapiro(kept).statistic < self._delta)
