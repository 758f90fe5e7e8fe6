"""The alarm: the same as its sequential definition, to the bit, and no more false alarms than it promises."""

from __future__ import annotations

import math
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.alarm import BETS, UNITS, WEIGHTS, Alarm, Hits, Tails, log_bets, threshold
from detectors.batch import IntArray
from detectors.dossiers import DossierTable

TAILS = [
    Tails(np.array([1.0, 2.0]), np.array([0.1, 0.02])),
    Tails(np.array([0.0, 5.0]), np.array([0.4, 0.05])),
]
ALARM = Alarm(TAILS, 1000.0)


def hits_of(values: list[int], clients: list[int]) -> tuple[Hits, IntArray]:
    """Each number to the hits of two detectors at two levels: 0 none, 1 the lower line, 2 both, 3 no opinion."""
    table = np.array([[0, 0], [1, 0], [1, 1], [-1, -1]], dtype=np.int8)
    pairs = np.array([divmod(v, 4) for v in values], dtype=np.int64).reshape(-1, 2)
    return table[pairs], np.array(clients, dtype=np.int64)


def sequential(hits: Hits, client: IntArray, start: IntArray) -> IntArray:
    """``S = max(S, 0) + step``, one number at a time."""
    state = {c: start[c].tolist() for c in range(len(start))}
    out = []
    for row, c in zip(hits.tolist(), client.tolist(), strict=True):
        for d, levels in enumerate(row):
            for level, hit in enumerate(levels):
                p = float(TAILS[d].bounds[level])
                for b, g in enumerate(BETS):
                    gain = math.floor(math.log1p(g * (1 - p) / p) * UNITS)
                    loss = math.floor(math.log1p(-g) * UNITS)
                    step = {1: gain, 0: loss, -1: 0}[hit]
                    state[c][d][level][b] = max(state[c][d][level][b], 0) + step
        out.append([[level[:] for level in detector] for detector in state[c]])
    return np.array(out, dtype=np.int64).reshape(len(hits), *start.shape[1:])


ROWS = st.lists(st.tuples(st.integers(0, 15), st.integers(0, 3)), max_size=60)


@given(rows=ROWS, seed=st.integers(0, 2**32 - 1))
def test_is_its_sequential_definition_to_the_bit(rows: list[tuple[int, int]], seed: int) -> None:
    hits, client = hits_of([v for v, _ in rows], [c for _, c in rows])
    start = np.random.default_rng(seed).integers(-(10**7), 10**8, (4, *ALARM.shape))
    np.testing.assert_array_equal(ALARM.run(hits, client, start).log_e, sequential(hits, client, start))


@given(rows=ROWS, points=st.lists(st.integers(0, 60), max_size=6))
def test_cutting_the_rows_changes_nothing(rows: list[tuple[int, int]], points: list[int]) -> None:
    hits, client = hits_of([v for v, _ in rows], [c for _, c in rows])
    state = np.zeros((4, *ALARM.shape), dtype=np.int64)
    whole = ALARM.run(hits, client, state)
    edges = sorted({0, len(rows), *(min(p, len(rows)) for p in points)})
    parts = []
    for a, b in pairwise(edges):
        part = ALARM.run(hits[a:b], client[a:b], state)
        parts.append(part)
        for i, c in enumerate(client[a:b].tolist()):
            state[c] = part.log_e[i]
    if parts:
        np.testing.assert_array_equal(np.concatenate([p.log_e for p in parts]), whole.log_e)
        np.testing.assert_array_equal(np.concatenate([p.e for p in parts]), whole.e)


def test_bets_cannot_win_on_average_at_the_bound() -> None:
    """E[L] = p L(hit) + (1 - p) L(miss) <= 1, whatever p and g; rounding only takes away."""
    p = np.concatenate([np.geomspace(1e-6, 0.5, 50), [0.9, 0.98]])
    hit, miss = log_bets(p)
    mean = p[:, None] * np.exp(hit / UNITS) + (1 - p[:, None]) * np.exp(miss / UNITS)
    assert mean.max() <= 1.0 + 1e-12
    assert mean.min() > 1.0 - 1e-3


def test_the_average_run_length_holds() -> None:
    """Two million clean opinions at the very bound make at most 2,000,000 s / c false alarms, chance allowed for."""
    c = 2000.0
    tails = Tails(np.array([0.0]), np.array([0.05]))
    assert tails.started == pytest.approx(0.05 + 0.95 * np.dot(BETS, WEIGHTS))
    alarm = Alarm([tails], c)
    rng = np.random.default_rng(11)
    alarms, opinions, clients = 0, 0, 2000
    state = np.zeros((clients, *alarm.shape), dtype=np.int64)
    for _ in range(50):
        hits = (rng.random((20 * clients, 1, 1)) < 0.05).astype(np.int8)
        client = np.repeat(np.arange(clients), 20)
        evidence = alarm.run(hits, client, state)
        crossed = evidence.e[:, 0].reshape(clients, 20) > 0
        state = evidence.log_e.reshape(clients, 20, *alarm.shape)[:, -1].copy()
        state[crossed.any(axis=1)] = 0
        alarms += int(np.count_nonzero(crossed.any(axis=1)))
        opinions += 20 * clients
    expected = opinions * tails.started / c
    assert alarms <= expected + 3.0 * math.sqrt(expected)
    assert alarms > 0


def test_an_attacker_who_always_hits_is_found_in_the_number_of_hits_announced() -> None:
    needed = ALARM.hits_needed()
    hits = np.ones((40, 2, 2), dtype=np.int8)
    evidence = ALARM.run(hits, np.zeros(40, np.int64), np.zeros((1, *ALARM.shape), np.int64))
    np.testing.assert_array_equal((evidence.e > 0).argmax(axis=0) + 1, needed)
    assert (needed <= 20).all()


def test_e_values_are_the_weighted_mean_of_the_bets() -> None:
    log_e = (np.random.default_rng(0).uniform(5.0, 9.0, (3, *ALARM.shape)) * UNITS).astype(np.int64)
    weights = np.outer([1, 2], WEIGHTS)
    expected = (np.exp(log_e / UNITS) * weights / weights.sum()).sum(axis=(2, 3))
    np.testing.assert_allclose(ALARM.e_values(log_e, least=0.0), expected, rtol=1e-5)
    low = ALARM.e_values(log_e)
    np.testing.assert_array_equal(low[low > 0], ALARM.e_values(log_e, least=0.0)[low > 0])
    assert (low[low > 0] >= 1000.0).all()


def test_no_opinion_adds_no_evidence() -> None:
    hits = np.full((5, 2, 2), -1, dtype=np.int8)
    start = np.full((1, *ALARM.shape), 12345, dtype=np.int64)
    assert (ALARM.run(hits, np.zeros(5, np.int64), start).log_e == 12345).all()


def test_scores_become_hits_above_the_line_only() -> None:
    hits = ALARM.hits(np.array([[1.0, np.nan], [1.5, 6.0], [2.5, -1.0]]))
    assert hits.tolist() == [[[0, 0], [-1, -1]], [[1, 0], [1, 1]], [[1, 1], [0, 0]]]


def test_the_threshold_follows_from_the_budget() -> None:
    assert threshold(0.01, 8000.0) == pytest.approx(800_000.0)
    assert threshold(1e9, 8000.0) == 100.0


def test_senseless_tails_are_refused() -> None:
    for levels, bounds in (([1.0], [0.0]), ([1.0], [1.0]), ([np.nan], [0.1]), ([1.0, 2.0], [0.1]), ([], [])):
        with pytest.raises(ValueError, match="tails need"):
            Tails(np.array(levels), np.array(bounds))
    with pytest.raises(ValueError, match="same number of levels"):
        Alarm([TAILS[0], Tails(np.array([1.0]), np.array([0.1]))], 1000.0)


def test_an_alarm_without_detectors_never_crosses() -> None:
    alarm = Alarm([], 100.0)
    evidence = alarm.run(alarm.hits(np.empty((3, 0))), np.zeros(3, np.int64), np.zeros((1, *alarm.shape), np.int64))
    assert evidence.e.shape == (3, 0)


@given(rows=ROWS, least=st.sampled_from([100.0, 300.0, 1000.0]), together=st.tuples(st.booleans(), st.booleans()))
def test_stops_where_one_detector_or_all_together_hold_enough(
    rows: list[tuple[int, int]], least: float, together: tuple[bool, bool]
) -> None:
    alarm = Alarm(TAILS, least, together)
    hits, client = hits_of([v for v, _ in rows], [c for _, c in rows])
    whole = alarm.run(hits, client, np.zeros((4, *alarm.shape), np.int64))
    each = np.where(together, alarm.e_values(whole.log_e, least=0.0), 0.0).sum(axis=1)
    np.testing.assert_allclose(alarm.joint(whole.log_e), np.where(each >= least, each, 0.0), rtol=1e-5)
    stops = np.flatnonzero((whole.e > 0).any(axis=1) | (alarm.joint(whole.log_e) > 0))
    held = DossierTable(["a", "b"], alarm.miss)
    held.reserve(4)
    entered = SimpleNamespace(slots=client, batch=SimpleNamespace(ts=np.zeros(len(client))))
    changes = np.empty((2 * len(hits), 5), dtype=np.int64)
    begin, stopped = 0, []
    while begin < len(hits):
        begin, _, _ = alarm.judge(hits, entered, np.zeros(len(hits), np.bool_), begin, len(hits), held, changes)
        now = held.held.of(client[begin - 1 : begin])
        if alarm.e_values(now).any() or alarm.joint(now).any():
            stopped.append(begin - 1)
    assert stopped == stops.tolist()


def test_two_halves_make_a_whole() -> None:
    """Each of two detectors needs more than a dozen hits by itself; together they speak sooner."""
    tails = [Tails(np.array([0.0]), np.array([0.3]))] * 2
    both = np.ones((40, 2, 1), dtype=np.int8)

    def first(together: tuple[bool, bool]) -> int:
        alarm = Alarm(tails, 1e4, together)
        evidence = alarm.run(both, np.zeros(40, np.int64), np.zeros((1, *alarm.shape), np.int64))
        return int(np.argmax((evidence.e > 0).any(axis=1) | (alarm.joint(evidence.log_e) > 0)))

    assert first((True, True)) < first((True, False)) == first((False, False))


def test_together_they_keep_the_budget() -> None:
    """On traffic that hits as often as allowed, several detectors on the same rows: the worst case, and independent."""
    rng = np.random.default_rng(3)
    detectors, n, clients, c = 6, 400, 500, 6 * 400 / 0.1
    alarm = Alarm([Tails(np.array([0.0]), np.array([0.05]))] * detectors, c)
    for alike in (True, False):
        drawn = rng.random((n * clients, 1 if alike else detectors)) < 0.05
        hits = np.broadcast_to(drawn, (n * clients, detectors)).astype(np.int8)[:, :, None]
        client = np.tile(np.arange(clients), n)
        evidence = alarm.run(hits, client, np.zeros((clients, *alarm.shape), np.int64))
        found = np.unique(client[(evidence.e > 0).any(axis=1) | (alarm.joint(evidence.log_e) > 0)])
        assert len(found) <= 0.1 * clients
