"""Support: values that clean traffic never has count once for each client."""

from __future__ import annotations

import numpy as np
import pytest
from row_traffic import batch as rows_of

from detectors.alone import Alone
from detectors.batch import EventBatch
from detectors.support import RING, Support


def batch(x: np.ndarray, clients: list[str]) -> EventBatch:
    return rows_of(x, clients, (x.shape[1],))


def form(n: int, seed: int) -> np.ndarray:
    """A choice of three, a count, an amount in cents, and a reading of a sensor."""
    rng = np.random.default_rng(seed)
    return np.stack(
        [rng.choice([0.0, 1.0, 4.0], n), rng.poisson(400.0, n), rng.integers(10**5, size=n) / 100, rng.normal(size=n)],
        axis=1,
    ).astype(np.float32)


@pytest.fixture(scope="module")
def detector() -> Alone:
    clean = batch(form(4000, 1), [f"client:{i % 40}" for i in range(4000)])
    return Alone(Support(Support.fit(clean)))


def scored(detector: Alone, x: list[list[float]], clients: list[str] | None = None) -> list[float]:
    rows = batch(np.array(x, dtype=np.float32), clients or ["client:a"] * len(x))
    return list(detector.score(rows))


def test_what_clean_traffic_may_have_is_not_odd(detector: Alone) -> None:
    assert not detector.score(batch(form(500, 2), [f"client:{i}" for i in range(500)])).any()


def test_each_odd_value_counts(detector: Alone) -> None:
    assert scored(detector, [[1.0, 401.0, 12.34, 0.1]]) == [0.0]
    assert scored(detector, [[2.0, 401.0, 12.34, 0.1]]) == [1.0]
    assert scored(detector, [[0.5, 401.5, 12.345, 0.1]]) == [3.0]
    assert scored(detector, [[np.nan, 401.0, 12.34, 0.1]]) == [0.0]
    assert scored(detector, [[np.inf, np.inf, 12.34, 0.1]]) == [2.0]


def test_a_client_with_a_new_category_counts_once_for_it(detector: Alone) -> None:
    odd = [2.0, 401.0, 12.34, 0.1]
    assert scored(detector, [odd, odd, odd], ["client:a", "client:a", "client:b"]) == [1.0, 0.0, 1.0]


def test_what_was_learned_is_not_new() -> None:
    clean = batch(form(4000, 1), [f"client:{i % 40}" for i in range(4000)])
    detector = Alone(Support(Support.fit(clean)))
    odd = batch(np.array([[2.0, 401.0, 12.34, 0.1]], dtype=np.float32), ["client:a"])
    detector.learn(odd)
    assert list(detector.score(odd)) == [0.0]
    many = np.tile(np.array([[0.0, 401.0, 12.34, 0.1]], dtype=np.float32), (RING, 1))
    many[:, 0] = np.arange(RING) + 10.0
    detector.learn(batch(many, ["client:a"] * RING))
    assert list(detector.score(odd)) == [1.0]


def test_the_features_are_named(detector: Alone) -> None:
    rows = batch(np.array([[0.5, 401.0, 12.345, 0.1]], dtype=np.float32), ["client:a"])
    assert detector.explain(rows, 0) == {"features_with_odd_values": [0, 2], "odd_values": 2}


def test_there_is_no_opinion_on_readings_alone() -> None:
    x = np.random.default_rng(0).normal(size=(400, 5)).astype(np.float32)
    clean = batch(x, [f"client:{i % 20}" for i in range(400)])
    assert np.isnan(Alone(Support(Support.fit(clean))).score(clean)).all()
