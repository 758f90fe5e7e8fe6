"""From scores of clean traffic to lines and the tail rates that no plausible clean client exceeds."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import stats

from detectors.alarm import Alarm, Tails
from detectors.batch import BoolArray, FloatArray, IntArray

#: Tail levels; one more line lies above every clean score.
LEVELS: Final = (0.05, 0.01, 0.002)
#: One-sided confidence of every bound.
CONFIDENCE: Final = 0.95
#: Rows a client must have to count in full when the lines are drawn.
_FULL_ROWS: Final = 20
#: E-value up to which a clean client looks innocent: as much as one in 20 reaches at any given time by chance. Among
#: more clients one in so many does, and a single hit at the least rate that they can vouch for is worth nearly that.
_INNOCENT: Final = 20.0
#: Bounds are raised by this factor at a time, lines by this share of their spread, until all clients look innocent.
_RAISE: Final = 1.25
_LIFT: Final = 0.05
#: A bound this high leaves a line without power; no bound is higher.
_MOST: Final = 0.98


def fit_tails(scores: FloatArray, client: IntArray, resolution: float, *, lasting_cause: bool = False) -> Tails:
    """Lines and bounds for one detector.

    Args:
        scores: out-of-sample scores of clean rows in arrival order, ``(n,)``, NaN for no opinion.
        client: index of each row's client, ``(n,)``.
        resolution: smallest difference in score that means anything.
        lasting_cause: what makes a clean client hit may go on (``detectors.contract.DetectorInfo``).

    The lines are the quantiles of the scores that clients, each counting the same, cross in 5, 1 and 0.2 % of rows, but
    at least ``resolution`` above the median; and one line above all scores, by their mean excess over the line before
    it or ``resolution``. Then all lines are lifted until each client would look innocent if the others were all the
    clean traffic there is: what one client alone does in clean traffic, another one will do worse. A client looks
    innocent up to an e-value of as many as there are clients, but at least 20; where hits have a lasting cause, of 20.
    Without any opinion the lines are infinite.
    """
    heard = ~np.isnan(scores)
    scores, client = scores[heard], np.unique(client[heard], return_inverse=True)[1]
    if not len(scores):
        return Tails(np.full(len(LEVELS) + 1, np.inf), np.full(len(LEVELS) + 1, 0.5))
    innocent = _INNOCENT if lasting_cause else max(_INNOCENT, float(client.max()) + 1.0)
    lines = _lines(scores, client, resolution)
    lines = lines + _lift(scores, client, resolution, _LIFT * (lines[-1] - lines[0]), innocent)
    return Tails(lines, _bounds(lines, scores, client, innocent))


def rate_bound(hits: FloatArray, rows: FloatArray, least: float) -> float:
    """Upper bound of the tail rate of any plausible clean client, from ``hits`` among ``rows`` of each client seen.

    Clients differ, so their rates are taken as drawn from a beta distribution, fitted by moments (Kleinman 1973). The
    bound is the largest of: the 95 % bound of each client's posterior; the distribution's own quantile that one in
    ``clients + 1`` exceeds; and ``least``.
    """
    mean = (float(hits.sum()) + 0.5) / (float(rows.sum()) + 1.0)
    weight = _concentration(hits, rows, mean)
    a, b = mean * weight, (1.0 - mean) * weight
    known = stats.beta.ppf(CONFIDENCE, a + hits, b + rows - hits)
    new = stats.beta.ppf(1.0 - 1.0 / (len(rows) + 1), a, b)
    return min(max(float(known.max()), float(new), least), _MOST)


def _concentration(hits: FloatArray, rows: FloatArray, mean: float) -> float:
    """``a + b`` of the beta distribution of rates by the method of moments, within [1, 10,000]."""
    weights = rows / rows.sum()
    spread = float(np.sum(weights * (hits / rows - mean) ** 2))
    share = float(np.sum(weights / rows))
    variance = mean * (1.0 - mean)
    between = (spread - share * variance) / max(1.0 - share, 1e-9)
    return float(np.clip(variance / between - 1.0, 1.0, 1e4)) if between > 0 else 1e4


def _lines(scores: FloatArray, client: IntArray, resolution: float) -> FloatArray:
    weights = (1.0 / np.maximum(np.bincount(client), _FULL_ROWS))[client]
    order = np.argsort(scores, kind="stable")
    above = 1.0 - np.cumsum(weights[order]) / weights.sum()
    at = [int(np.argmax(above <= level + 1e-12)) for level in LEVELS]
    lines = np.maximum(scores[order][at], float(np.median(scores)) + resolution)
    beyond = scores[scores > lines[-1]]
    excess = float(np.mean(beyond - lines[-1])) if len(beyond) else 0.0
    return np.append(lines, max(float(scores.max()), lines[-1]) + max(excess, resolution))


def _bounds(lines: FloatArray, scores: FloatArray, client: IntArray, innocent: float) -> FloatArray:
    """The bound of each line, not more for a higher line than for a lower one.

    ``c`` clients cannot vouch for less than 1 / (c + 1): as likely as that, the next client's highest score is higher
    than all of theirs; and higher by the mean excess 1/e times as likely, if tails are exponential.
    ``innocent``: e-value up to which a client looks so; infinite takes hits to be as likely after a hit as ever.
    """
    rows = np.bincount(client).astype(np.float64)
    bounds = []
    for line in lines.tolist():
        hits = np.bincount(client, (scores > line).astype(np.float64)).astype(np.float64)
        least = (np.exp(-1.0) if line == lines[-1] else 1.0) / (len(rows) + 1)
        bound = rate_bound(hits, rows, float(least))
        bounds.append(_raised(line, bound, scores, client, innocent))
    return np.minimum.accumulate(np.array(bounds))


def _raised(line: float, bound: float, scores: FloatArray, client: IntArray, innocent: float) -> float:
    """The bound, raised until by this line alone all clients look innocent.

    Hits that come in runs, as frames of one scene do, are likelier given the past than on average; here it shows.
    """
    while bound < _MOST and not _innocent(Tails(np.array([line]), np.array([bound])), scores, client, innocent):
        bound = min(bound * _RAISE, _MOST)
    return bound


def _lift(scores: FloatArray, client: IntArray, resolution: float, step: float, innocent: float) -> float:
    """How far all lines must go up so that each client looks innocent by the lines and bounds of the others."""
    lift = 0.0
    for one in range(int(client.max()) + 1):
        mine = client == one
        if not mine.all():
            others = np.unique(client[~mine], return_inverse=True)[1]
            lines = _lines(scores[~mine], others, resolution)
            while lift < step / _LIFT and not _innocent_beside(lines + lift, scores, mine, others, innocent):
                lift += step
    return lift


def _innocent_beside(lines: FloatArray, scores: FloatArray, mine: BoolArray, others: IntArray, innocent: float) -> bool:
    own = scores[mine]
    if not (own > lines[0]).any():
        return True
    # Bounds not raised are lower, so who looks innocent by them does by the real ones, which take long to find.
    alone = np.zeros(len(own), dtype=np.int64)
    return any(
        _innocent(Tails(lines, _bounds(lines, scores[~mine], others, raised_to)), own, alone, innocent)
        for raised_to in (np.inf, innocent)
    )


def _innocent(tails: Tails, scores: FloatArray, client: IntArray, innocent: float) -> bool:
    if np.isinf(innocent):
        return True
    alarm = Alarm([tails], innocent)
    start = np.zeros((int(client.max(initial=-1)) + 1, *alarm.shape), dtype=np.int64)
    return not alarm.run(alarm.hits(scores[:, None]), client, start).e.any()
