"""Suspicion to evidence: bounded bets on tail rates, added up per client until they speak for themselves.

For a level with line tau, X_t = 1{s_t > tau} is a hit. Clean traffic hits at a rate of at most p (``Tails.bounds``), so

    L_t = 1 + (g / p) (X_t - p),    0 < g < 1

has E[L_t | past] <= 1 whatever the hits depend on, as long as the rate given the past stays below p. It is the
likelihood ratio of the rate p + g(1 - p) against p. With M_t = max(M_{t-1}, 1) L_t for each level and each g, the
weighted mean of the M is an e-detector (Shin, Ramdas, Rinaldo 2022, arXiv 2203.03532): raised at M >= c, it has an
average run length of at least c opinions between false alarms, per client and detector. A row without an opinion adds
no evidence.

It has more. M is above 1 only from a hit on, which has probability p at most and makes it 1 + g(1 - p) / p: an opinion
begins evidence of p + g(1 - p) on average, not of 1. So with s the weighted mean of p + g(1 - p), some 0.4, the average
run length is at least c / s opinions. (M below 1 is at most 1 in the mean, which is nothing beside c.)

``log M`` is kept in whole units of 2**-20, each log L rounded down: sums of integers are exact, so evidence does not
depend on how rows were cut into batches, and rounding down keeps the promise.

Detectors also speak together. A mean of e-detectors is one itself, whatever they have to do with one another (Vovk &
Wang 2021, arXiv 1912.06116): ``sum_d M_d`` is on average at most the evidence that all their opinions have begun, so
``sum_d M_d >= c`` keeps the same budget as a line at c for each, and is never later.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.batch import BoolArray, FloatArray, IntArray, round_sig
from detectors.dossiers import DossierTable
from detectors.kernels.evidence import MOST_NATS, UNITS, judge, trail
from detectors.rows import Rows

#: Shares g of the way from the clean tail rate to 1 that the bets look for, and their weights in the mean: attackers
#: who hit often must be found soon, those who hit seldom can wait. A level's weight is its rank.
BETS: Final = (0.03, 0.15, 0.7)
WEIGHTS: Final = (0.2, 0.3, 0.5)

Hits = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class Tails:
    """Lines of one detector and how often clean traffic crosses them.

    Attributes:
        levels: tau of each level, float64 ``(l,)``, ascending.
        bounds: p of each level, float64 ``(l,)``, within (0, 1): no plausible clean client hits more often.
    """

    levels: FloatArray
    bounds: FloatArray

    def __post_init__(self) -> None:
        ok = self.levels.ndim == 1 and self.levels.shape == self.bounds.shape and len(self.levels) > 0
        if not ok or np.isnan(self.levels).any() or not np.all((self.bounds > 0) & (self.bounds < 1)):
            raise ValueError("tails need levels and as many bounds strictly between 0 and 1")

    @property
    def started(self) -> float:
        """Evidence that an opinion of clean traffic begins on average, at most: the weighted mean of p + g(1 - p)."""
        p, g = self.bounds[:, None], np.array(BETS)
        return float(np.sum(bet_weights(len(self.bounds)) * (p + g * (1.0 - p))))


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What the rows did to the evidence, in the rows' order.

    Attributes:
        log_e: log M after each row, in units, int64 ``(n, d, l, g)``, for d detectors, l levels and g bets.
        e: the e-value after each row, ``(n, d)``, to 6 digits where it is at least the threshold; else 0.
    """

    log_e: IntArray
    e: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Crossing:
    """A line that was crossed.

    Attributes:
        e: e-value of each detector that crossed by itself; if none did, the sum, with the one that holds most. 0 for
            others, ``(d,)``.
        shares: e-values that the sum is made of, from 1 on; 0 if a detector crossed by itself.
    """

    e: FloatArray
    shares: FloatArray


class Alarm:
    """All row detectors of one model at once; stateless: the caller keeps each client's ``log_e``.

    Attributes:
        threshold: c, of each detector, and of the sum over those that speak together.
        bounds: p, ``(d, l)``.
        shape: of one client's ``log_e``, ``(d, l, g)``.
        miss: what a miss adds to it, in units, int64 ``(d, l, g)``.
    """

    def __init__(self, tails: Sequence[Tails], threshold: float, together: Sequence[bool] | None = None) -> None:
        """``together``: of each detector, whether its evidence counts with that of others; all unless told.

        Raises ValueError if detectors have different numbers of levels, or the threshold is below 1."""
        if len({len(t.levels) for t in tails}) > 1 or threshold < 1:
            raise ValueError("detectors must have the same number of levels, and the threshold must be at least 1")
        self.threshold = threshold
        bounds = np.stack([t.bounds for t in tails]) if tails else np.empty((0, 1))
        self._levels = np.stack([t.levels for t in tails]) if tails else np.empty((0, 1))
        self._hit, self.miss = log_bets(bounds)
        self.shape = self._hit.shape
        self._weights = bet_weights(self.shape[1])
        self._log_weights = np.floor(np.log(self._weights) * UNITS).astype(np.int64)
        self._least = int(np.floor(np.log(threshold) * UNITS))
        self.together = np.ones(len(tails), dtype=np.bool_) if together is None else np.array(together, dtype=np.bool_)

    def hits_needed(self) -> IntArray:
        """Fewest hits above the highest line, from nothing and without a miss, that cross the threshold: ``(d,)``."""
        many = np.arange(1, 1000)[:, None, None, None]
        crossed = self.e_values(many * self._hit) > 0
        return np.where(crossed.any(axis=0), crossed.argmax(axis=0) + 1, len(many) + 1)

    def hits(self, scores: FloatArray) -> Hits:
        """Scores ``(n, d)`` to hits ``(n, d, l)``: 1 above the line, 0 not, -1 no opinion."""
        above = (scores[:, :, None] > self._levels).astype(np.int8)
        above[np.isnan(scores)] = -1
        return above

    def run(self, hits: Hits, client: IntArray, start: IntArray) -> Evidence:
        """Evidence after each row.

        Args:
            hits: ``(n, d, l)`` in arrival order.
            client: index into ``start`` of each row's client, ``(n,)``.
            start: log M of the clients before the first row, int64 ``(m, d, l, g)``.
        """
        log_e = np.empty((len(hits), *self.shape), dtype=np.int64)
        trail(hits, client, start.astype(np.int32), self._hit, self.miss, log_e)
        return Evidence(log_e, self.e_values(log_e))

    def judge(
        self, hits: Hits, rows: Rows, skip: BoolArray, begin: int, end: int, dossiers: DossierTable, changes: IntArray
    ) -> tuple[int, int, bool]:
        """Enter rows into ``dossiers`` from ``begin`` to ``end``, in order, until after one at which a detector may
        cross.

        Args:
            hits: of all rows, ``(n, d, l)``. skip: rows to leave out.
            changes: int64 ``(n * d, 5)`` for what becomes of runs of hits (``detectors.kernels.evidence.judge``).

        Returns:
            The row after the last one entered, the number of changes, and whether it may have crossed there.
        """
        weights = (self._weights, self._log_weights)
        limits = (self._hit, self.miss, self._least, self.together, *weights, self.threshold)
        held = dossiers.held
        held.room((end - begin) * hits.shape[1])
        state = (held.places, held.rows, held.free, dossiers.last_ts, dossiers.opinions, dossiers.running)
        return judge(begin, skip, hits[:end], rows.slots, rows.batch.ts, *limits, *state, changes)

    def e_values(self, log_e: npt.NDArray[np.integer[Any]], least: float | None = None) -> FloatArray:
        """E-values ``(n, d)`` of ``log_e (n, d, l, g)``, to 6 digits; 0 where below ``least`` (c unless told)."""
        n, detectors, *each = log_e.shape
        if least is None:  # the mean of the M reaches c only if one of them does: nearly all need no exponential
            at = np.unique(np.flatnonzero(log_e.reshape(-1) >= self._least) // math.prod(each))
            least = self.threshold
        else:
            at = np.arange(n * detectors)
        e = np.zeros(n * detectors)
        m = np.exp(np.minimum(log_e.reshape(n * detectors, *each)[at] / UNITS, MOST_NATS))
        value = round_sig(np.sum(m * self._weights, axis=(1, 2)))
        e[at] = np.where(value >= least, value, 0.0)
        return e.reshape(n, detectors)

    def joint(self, log_e: npt.NDArray[np.integer[Any]]) -> FloatArray:
        """What the detectors that speak together hold against a client in all, ``(n,)``, 6 digits; 0 where below c."""
        return self._joint(self.e_values(log_e, least=0.0))

    def _joint(self, e: FloatArray) -> FloatArray:
        total = round_sig(np.sum(np.where(self.together, e, 0.0), axis=1))
        return np.where(total >= self.threshold, total, 0.0)

    def crossing(self, log_e: npt.NDArray[np.integer[Any]]) -> Crossing | None:
        """What one client's ``log_e (d, l, g)`` says; None if it stays below c."""
        every = self.e_values(log_e[None], least=0.0)
        e = np.where((log_e.max(axis=(1, 2)) >= self._least) & (every[0] >= self.threshold), every[0], 0.0)
        if e.any():
            return Crossing(e, np.zeros_like(e))
        total, shares = float(self._joint(every)[0]), np.where(self.together, every[0], 0.0)
        if not total:
            return None
        e[np.argmax(shares)] = total
        return Crossing(e, np.where(shares >= 1.0, shares, 0.0))


def threshold(clients_per_day: float, started_per_client_day: float) -> float:
    """The alarm's c: ``started_per_client_day / clients_per_day``, at least 100, to 6 digits.

    ``started_per_client_day``: opinions times ``Tails.started``, of all detectors together. A clean client of which
    they have as many opinions a day as in the clean traffic is then falsely found at most ``clients_per_day`` times a
    day.
    """
    return float(f"{max(started_per_client_day / clients_per_day, 100.0):.6g}")


def bet_weights(levels: int) -> FloatArray:
    """Weights of the bets in the mean, ``(levels, g)``; a level's is its rank."""
    weights = np.outer(np.arange(1, levels + 1), WEIGHTS)
    return np.asarray(weights / weights.sum())


def log_bets(bounds: FloatArray) -> tuple[IntArray, IntArray]:
    """Log L of a hit and of a miss in units, rounded down, int64 ``(..., g)`` for ``bounds (...)``."""
    g = np.array(BETS)
    p = bounds[..., None]
    hit = np.floor(np.log1p(g * (1.0 - p) / p) * UNITS)
    miss = np.floor(np.log1p(-g) * UNITS) + np.zeros_like(hit)
    return hit.astype(np.int64), miss.astype(np.int64)
