"""Near duplicates: queries that circle a boundary score high; retries, health checks and cameras do not."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from row_traffic import PICTURE, batch, bisection, camera, honest, inputs

from detectors.alone import Alone
from detectors.contract import Params
from detectors.near_duplicate import RING, NearDuplicate


@cache
def params() -> Params:
    return NearDuplicate.fit(honest(1, rows=2000))


def fresh() -> Alone:
    return Alone(NearDuplicate(params()))


def test_each_halving_of_a_bisection_scores_one_bit_more() -> None:
    scores = fresh().score(bisection("client:a", rows=10))
    steps = np.diff(scores[5:10])
    np.testing.assert_allclose(steps, 1.0, atol=0.05)
    assert scores[9] > 4.0


def test_random_points_round_the_boundary_score_high_where_the_label_differs() -> None:
    rows = bisection("client:a", rows=60)
    scores = fresh().score(rows)[20:]
    assert np.mean(scores > 1.0) > 0.3


def test_byte_identical_repeats_have_no_opinion_and_are_not_remembered() -> None:
    detector = fresh()
    row = honest(2, rows=1).take(np.zeros(50, dtype=np.int64))
    row = replace(row, clients=("client:probe",) * 50)
    scores = detector.score(row)
    assert np.isnan(scores).all()
    detector.learn(row)
    assert len(detector.history("client:probe")) == 1
    assert np.isnan(detector.score(row)).all()


def test_negative_zero_is_a_repeat_of_zero() -> None:
    x = np.zeros((2, 64))
    x[0, 3] = 0.5
    x[1] = x[0]
    x[1, 5] = -0.0
    assert np.isnan(fresh().score(batch(x, ["client:a"] * 2, PICTURE))).all()


def test_a_camera_whose_label_holds_still_scores_next_to_nothing() -> None:
    scores = fresh().score(camera("client:cam"))
    assert np.nanmax(scores) < 1.0


def test_a_camera_scores_only_while_the_label_changes() -> None:
    rows = camera("client:cam", flips=True)
    scores = fresh().score(rows)
    changes = np.flatnonzero(np.diff(rows.labels))
    high = np.flatnonzero(scores > 1.0)
    assert len(high)
    assert all(np.abs(changes - row).min() <= 10 for row in high.tolist())


def test_unrelated_queries_score_zero() -> None:
    rng = np.random.default_rng(3)
    rows = batch(inputs(rng, 40, PICTURE) + rng.normal(0, 0.3, (40, 64)), ["client:a"] * 40, PICTURE)
    scores = fresh().score(rows)
    assert np.isnan(scores[0])
    assert (scores[1:] == 0.0).mean() > 0.9


def test_a_neighbour_counts_as_long_as_it_is_remembered() -> None:
    """The 64 latest distinct queries are compared, the 65th is forgotten."""
    rng = np.random.default_rng(4)
    search = bisection("client:a", rows=10)
    other = int(np.flatnonzero(search.labels[:9] != search.labels[9])[-1])
    pair = search.take(np.array([other, 9]))
    for between, near in ((RING - 1, True), (RING, False)):
        others = batch(rng.random((between, 64)) * 5.0, ["client:a"] * between, PICTURE)
        detector = fresh()
        detector.learn(pair.take(np.array([0])))
        detector.learn(others)
        score = detector.score(pair.take(np.array([1])))[0]
        assert (score > 1.5) == near


def test_without_labels_and_scores_closeness_alone_says_nothing() -> None:
    rows = bisection("client:a")
    rows = replace(rows, scores=None, labels=np.full(len(rows), -1, dtype=np.int64))
    assert np.nanmax(fresh().score(rows)) == 0.0


def test_scores_tell_where_labels_do_not() -> None:
    """A large change of the first probability between near queries of one label counts by its size."""
    rows = honest(2, rows=1).take(np.zeros(2, dtype=np.int64))
    x = rows.x.copy()
    x[1] += 0.001
    scores = np.array([[0.9, 0.1, 0.0, 0.0], [0.6, 0.4, 0.0, 0.0]], dtype=np.float32)
    score = fresh().score(replace(rows, x=x, scores=scores))[1]
    closeness = np.log2(float(params()["radius"]) / fresh().explain(replace(rows, x=x), 1)["distance"])
    assert score == pytest.approx(0.3 * closeness, rel=1e-3)


def test_one_long_batch_of_one_client_is_walked_row_by_row() -> None:
    rng = np.random.default_rng(5)
    n = 3000
    x = np.repeat(inputs(rng, n // 2, PICTURE), 2, axis=0) + rng.normal(0, 0.01, (n, 64))
    rows = batch(x, ["client:a"] * n, PICTURE)
    detector = fresh()
    whole = detector.score(rows)
    parts = []
    for start in range(0, n, 100):
        part = rows.take(np.arange(start, start + 100))
        parts.append(detector.score(part))
        detector.learn(part)
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_the_projection_estimates_distances() -> None:
    """Twelve random signs estimate the root mean square difference per feature to about 20 %."""
    rng = np.random.default_rng(6)
    found = []
    for i in range(60):
        x = rng.random((2, 64))
        x[1] = x[0] + rng.normal(0, 0.001, 64)
        detector = fresh()
        rows = batch(x, [f"client:{i}"] * 2, PICTURE)
        scale = float(params()["scale"][0])
        found.append(detector.explain(rows, 1)["distance"] * scale / np.sqrt(np.mean((x[1] - x[0]) ** 2)))
    assert np.median(found) == pytest.approx(1.0, abs=0.15)
    assert np.std(found) < 0.35


def test_the_signs_depend_on_the_clean_traffic() -> None:
    other = NearDuplicate.fit(honest(9, rows=400))
    assert (other["signs"] != params()["signs"]).any()
    assert (other["digest_key"] != params()["digest_key"]).any()
