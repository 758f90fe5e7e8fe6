"""Lines and tail rates: clean clients of every kind seen stay innocent, rare kinds and runs of hits included."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.alarm import Alarm, Tails
from detectors.batch import FloatArray, IntArray
from detectors.tail_rates import LEVELS, fit_tails, rate_bound


def crowd(seed: int, clients: int = 40, rows: int = 100) -> tuple[FloatArray, IntArray]:
    """Standard normal scores, clients' rows in turn."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=clients * rows), np.tile(np.arange(clients), rows)


def most_evidence(tails: Tails, scores: FloatArray, client: IntArray) -> float:
    alarm = Alarm([tails], 1.0)
    start = np.zeros((int(client.max()) + 1, *alarm.shape), dtype=np.int64)
    return float(alarm.run(alarm.hits(scores[:, None]), client, start).e.max())


def test_lines_rise_and_bounds_fall() -> None:
    tails = fit_tails(*crowd(0), resolution=0.1)
    assert len(tails.levels) == len(LEVELS) + 1
    assert (np.diff(tails.levels) > 0).all()
    assert (np.diff(tails.bounds) <= 0).all()


def test_the_highest_line_is_above_all_clean_scores() -> None:
    scores, client = crowd(0)
    assert fit_tails(scores, client, 0.1).levels[-1] > scores.max() + 0.1


def test_bounds_cover_new_clients_like_the_old_ones() -> None:
    """Each bound is above the true tail rate beyond its line."""
    tails = fit_tails(*crowd(1), resolution=0.1)
    fresh = np.random.default_rng(2).normal(size=200_000)
    for line, bound in zip(tails.levels, tails.bounds, strict=True):
        assert np.mean(fresh > line) < bound


def test_an_odd_client_in_clean_traffic_raises_bounds_until_it_looks_innocent() -> None:
    scores, client = crowd(3)
    odd = np.where(client == 7, scores + 2.0, scores)
    tails, usual = fit_tails(odd, client, 0.1), fit_tails(scores, client, 0.1)
    assert most_evidence(tails, odd, client) < 100.0
    assert most_evidence(usual, odd, client) > 1e6


def test_what_one_client_does_another_may_do_a_little_worse() -> None:
    """A second odd client, half as odd again, still does not look like an attacker, where oddity lasts."""
    scores, client = crowd(4)
    odd = np.where(client == 7, scores + 1.0, scores)
    tails = fit_tails(odd, client, 0.1, lasting_cause=True)
    worse = np.random.default_rng(5).normal(size=200) + 1.5
    assert most_evidence(tails, worse, np.zeros(200, dtype=np.int64)) < 1e6


def test_an_odd_input_among_many_clients_costs_no_power_unless_its_cause_may_last() -> None:
    """A hit at the least rate that 119 clients can vouch for is worth 33: beyond 20, but one in 40 has one."""
    client = np.tile(np.arange(119), 100)
    scores = np.zeros(len(client))
    scores[[1000, 4444, 9001]] = 4.0
    bounds = [fit_tails(scores, client, 1.0, lasting_cause=lasting).bounds[0] for lasting in (False, True)]
    assert bounds[0] == pytest.approx(1 / 120)
    assert bounds[1] > 2 / 120
    few = np.isin(client, [*range(15), *client[scores > 0.0]])
    bounds = [fit_tails(scores[few], client[few], 1.0, lasting_cause=lasting).bounds[0] for lasting in (False, True)]
    assert bounds[0] == bounds[1]


def test_hits_that_come_in_runs_cost_power_not_innocence() -> None:
    """The same hits, spread out and in runs: runs need higher bounds or lines, and get them."""
    rng = np.random.default_rng(6)
    scores, client = rng.normal(size=4000), np.tile(np.arange(40), 100)
    high = rng.normal(4.0, 0.1, size=(40, 8))
    spread, runs = scores.reshape(100, 40).copy(), scores.reshape(100, 40).copy()
    for c in range(40):
        spread[::12, c][:8] = high[c]
        runs[30:38, c] = high[c]
    tails = fit_tails(runs.ravel(), client, 0.1)
    assert most_evidence(tails, runs.ravel(), client) < 100.0
    assert most_evidence(fit_tails(spread.ravel(), client, 0.1), runs.ravel(), client) > 1000.0


def test_attackers_far_beyond_are_found_in_a_few_rows() -> None:
    tails = fit_tails(*crowd(8), resolution=0.1)
    assert Alarm([tails], 1e6).hits_needed()[0] <= 5


def test_without_opinions_nothing_is_ever_a_hit() -> None:
    tails = fit_tails(np.full(100, np.nan), np.tile(np.arange(20), 5), resolution=1.0)
    alarm = Alarm([tails], 100.0)
    assert not (alarm.hits(np.array([[1e300]])) == 1).any()


@pytest.mark.parametrize("scores", [np.zeros(2000), np.tile([0.0, 0.0, 0.0, 1e-9], 500)])
def test_scores_that_never_vary_leave_room_for_meaningless_differences(scores: FloatArray) -> None:
    tails = fit_tails(scores, np.tile(np.arange(20), 100), resolution=1.0)
    assert (tails.levels >= 1.0).all()


def test_one_client_alone_is_enough_to_compute() -> None:
    tails = fit_tails(np.random.default_rng(0).normal(size=50), np.zeros(50, dtype=np.int64), resolution=0.1)
    assert (tails.bounds >= 0.5 / np.e).all()


def test_the_bound_of_a_rate_is_above_every_client_seen() -> None:
    rows = np.full(30, 200.0)
    hits = np.full(30, 2.0)
    alike = rate_bound(hits, rows, 0.0)
    assert 0.01 < alike < 0.03
    hits[4] = 80.0
    assert rate_bound(hits, rows, 0.0) > 0.4
    assert rate_bound(np.zeros(30), rows, 0.05) == pytest.approx(0.05)
