"""Rate: blocks of sixteen requests against the client's and the population's habit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from row_traffic import START_TS, TABLE, batch

from detectors.alone import Alone
from detectors.batch import EventBatch
from detectors.rate import BLOCK, Rate


def requests(per_s: float, n: int, client: str = "client:a", start: float = START_TS) -> EventBatch:
    ts = start + np.arange(n) / per_s
    return batch(np.zeros((n, 6)), [client] * n, TABLE, ts=ts, prefix=f"{client}-{start}-")


def population() -> Alone:
    """Clients of one request a second."""
    clean = [requests(1.0, 200, f"client:{i}") for i in range(20)]
    x = np.concatenate([c.x for c in clean])
    ids = tuple(i for c in clean for i in c.ids)
    clients = tuple(c for part in clean for c in part.clients)
    whole = replace(batch(x.astype(np.float64), clients, TABLE, ts=np.concatenate([c.ts for c in clean])), ids=ids)
    return Alone(Rate(Rate.fit(whole)))


def test_only_a_block_s_last_request_has_an_opinion() -> None:
    scores = population().score(requests(1.0, 3 * BLOCK + 5))
    assert np.flatnonzero(~np.isnan(scores)).tolist() == [BLOCK, 2 * BLOCK, 3 * BLOCK]
    np.testing.assert_allclose(scores[[BLOCK, 2 * BLOCK, 3 * BLOCK]], 0.0, atol=1e-6)


@pytest.mark.parametrize("times", [2.0, 8.0, 64.0])
def test_the_score_is_the_log_of_how_many_times_faster(times: float) -> None:
    assert population().score(requests(times, BLOCK + 1))[-1] == pytest.approx(np.log2(times), abs=1e-4)


def test_a_client_s_own_habit_counts_once_it_has_one() -> None:
    detector = population()
    detector.learn(requests(16.0, 40 * BLOCK + 1))
    late = requests(16.0, BLOCK + 1, start=START_TS + 1000.0)
    last = detector.score(late)
    settled = last[~np.isnan(last)][-1]
    assert settled < 0.5
    assert detector.explain(late, int(np.flatnonzero(~np.isnan(last))[-1]))["own_habit_per_s"] > 10.0


def test_rows_of_one_request_count_once() -> None:
    rows = requests(1.0, 10 * BLOCK)
    bulk = replace(rows, ids=tuple(f"r{i // BLOCK}" for i in range(10 * BLOCK)))
    detector = population()
    assert np.isnan(detector.score(bulk)).all()
    one, other = bulk.take(np.arange(40)), bulk.take(np.arange(40, 10 * BLOCK))
    detector.learn(one)
    detector.learn(other)
    assert detector.history("client:a")[0]["requests"] == 9


def test_time_that_stands_still_or_runs_back_is_survived() -> None:
    still = replace(requests(1.0, BLOCK + 1), ts=np.full(BLOCK + 1, START_TS))
    back = replace(requests(1.0, BLOCK + 1), ts=START_TS - np.arange(BLOCK + 1.0))
    for rows in (still, back):
        score = population().score(rows)[-1]
        assert np.isfinite(score)
        assert score > 10.0


def test_event_time_zero_is_a_time_like_any_other() -> None:
    rows = replace(requests(1.0, BLOCK + 1), ts=np.arange(BLOCK + 1.0))
    assert population().score(rows)[-1] == pytest.approx(0.0, abs=1e-6)


def test_a_population_too_quiet_to_fill_a_block_makes_no_accusation() -> None:
    quiet = Alone(Rate(Rate.fit(requests(1.0, 5))))
    assert quiet.score(requests(100.0, BLOCK + 1))[-1] < 0.0


def test_rows_that_end_no_block_have_nothing_to_explain() -> None:
    assert population().explain(requests(1.0, 5), 4) == {}
