"""The alarm's sums: ``S = max(S, 0) + step`` for each detector, level and bet."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]

#: More evidence than this (1024 nats) is not told apart; sums stay within 32 bits.
_MOST: Final = 1 << 30

#: Units of log evidence per nat.
UNITS: Final = 1 << 20
#: Evidence beyond this is not told apart: exp(600) is still a number.
MOST_NATS: Final = 600.0
#: What rounding may hide: whoever asked looks at it exactly.
_SLACK: Final = 1e-6
#: More opinions than this are not counted.
_MOST_OPINIONS: Final = (1 << 32) - 1

#: In place of sums: all are 0; all are what a first miss leaves. Below any row's number.
NOTHING: Final = -1
MISSED: Final = -2

#: What became of a detector's run of hits at a row.
HIT: Final = 1
OVER: Final = 0


@kernel
def trail(hits: Array, client: Array, state: Array, hit: Array, miss: Array, out: Array) -> None:
    """Sums after each row, ``out (n, d, l, g)``; ``state (m, d, l, g)`` is brought up to date. See ``judge``."""
    detectors, levels, bets = hit.shape
    for i in range(hits.shape[0]):
        for d in range(detectors):
            for k in range(levels):
                above = hits[i, d, k]
                for b in range(bets):
                    step = hit[d, k, b] if above == 1 else (miss[d, k, b] if above == 0 else 0)
                    s = min(max(int(state[client[i], d, k, b]), 0) + step, _MOST)
                    state[client[i], d, k, b] = s
                    out[i, d, k, b] = s


@kernel
def judge(
    begin: int,
    skip: Array,
    hits: Array,
    slots: Array,
    ts: Array,
    hit: Array,
    miss: Array,
    least: int,
    together: Array,
    weights: Array,
    log_weights: Array,
    enough: float,
    places: Array,
    sums: Array,
    free: Array,
    last_ts: Array,
    opinions: Array,
    running: Array,
    changes: Array,
) -> tuple[int, int, bool]:
    """Enter rows from ``begin`` on, until after one at which some sum is ``least`` or more, or the weighted
    exponentials of the sums of the detectors ``together`` come to ``enough``.

    Args:
        skip: rows to leave out. hits: int8 ``(n, d, l)``, 1, 0, or all -1 for no opinion. slots, ts: of the rows.
        hit, miss: steps, int64 ``(d, l, g)``.
        together: bool ``(d,)``. weights: ``(l, g)``; log_weights: in units, int64.
        places, sums, free: evidence by slot (``detectors.held``), with room for a row for each row and detector.
        last_ts, opinions, running: of the clients, by slot; brought up to date. ``opinions`` are counted up to 2**32 -
            1. ``running``: does a run of hits go on?
        changes: int64 ``(n * d, 5)``, set to row, detector, ``HIT`` or ``OVER``, opinions with this one, and the
            largest weighted sum, a bound from below of the log of the e-value, wherever the lowest line was crossed or
            a run ended because nothing is held against the client any more.

    Returns:
        The row after the last one entered, the number of changes, and whether it is such a row.
    """
    detectors, levels, bets = hit.shape
    n = 0
    for row in range(begin, hits.shape[0]):
        if skip[row]:
            continue
        slot = slots[row]
        last_ts[slot] = max(last_ts[slot], ts[row])
        stop = False
        held = 0.0
        for d in range(detectors):
            heard = hits[row, d, 0] >= 0
            if heard and opinions[slot, d] < _MOST_OPINIONS:
                opinions[slot, d] += 1
            place = places[slot, d]
            if place < 0:
                hit_any = False
                for k in range(levels):
                    hit_any |= hits[row, d, k] == 1
                if not hit_any:  # no sum is above 0, and no run goes on
                    places[slot, d] = MISSED if heard else NOTHING
                    continue
                free[2] += 1
                place = free[0]
                if place >= 0:
                    free[0] = sums[place, 0, 0]
                else:
                    place = free[1]
                    free[1] += 1
                places[slot, d] = place
                for k in range(levels):
                    for b in range(bets):
                        sums[place, k, b] = 0
            most = -_MOST
            sure = -_MOST
            nothing = True
            missed = True
            for k in range(levels):
                above = hits[row, d, k]
                for b in range(bets):
                    step = hit[d, k, b] if above == 1 else (miss[d, k, b] if above == 0 else 0)
                    s = min(max(int(sums[place, k, b]), 0) + step, _MOST)
                    sums[place, k, b] = s
                    most = max(most, s)
                    sure = max(sure, s + log_weights[k, b])
                    nothing &= s == 0
                    missed &= s == miss[d, k, b]
            if nothing or missed:
                places[slot, d] = NOTHING if nothing else MISSED
                sums[place, 0, 0] = free[0]
                free[0] = place
                free[2] -= 1
            stop |= most >= least
            if together[d] and most > 0:
                held = max(held, float(most))
            if most <= 0:
                if running[slot, d]:
                    running[slot, d] = False
                    changes[n, 0], changes[n, 1], changes[n, 2], changes[n, 3], changes[n, 4] = row, d, OVER, 0, 0
                    n += 1
            elif hits[row, d, 0] == 1:
                running[slot, d] = True
                changes[n, 0], changes[n, 1], changes[n, 2] = row, d, HIT
                changes[n, 3], changes[n, 4] = opinions[slot, d], sure
                n += 1
        # Nearly all rows need no exponential: as many sums as there are must come to it.
        if not stop and held >= (np.log(enough / len(together)) - _SLACK) * UNITS:
            total = 0.0
            for d in range(detectors):
                if together[d]:
                    place = places[slot, d]
                    for k in range(levels):
                        for b in range(bets):
                            s = sums[place, k, b] if place >= 0 else (miss[d, k, b] if place == MISSED else 0)
                            total += weights[k, b] * np.exp(s / UNITS)
            stop = total >= enough * (1.0 - _SLACK)
        if stop:
            return row + 1, n, True
    return hits.shape[0], n, False


@kernel
def absences(order: Array, begins: Array, slots: Array, ts: Array, last_ts: Array, ttl_s: float, away: Array) -> None:
    """Mark rows that come more than ``ttl_s`` after their client's newest event: 1, or 2 if that is one of the rows.

    ``last_ts`` is by slot, -inf for strangers.
    """
    for client in range(len(begins) - 1):
        newest = last_ts[slots[order[begins[client]]]]
        for at in range(begins[client], begins[client + 1]):
            row = order[at]
            if newest == -np.inf:
                newest = ts[row]
            away[row] = 0 if ts[row] - newest <= ttl_s else (1 if at == begins[client] else 2)
            newest = max(newest, ts[row])
