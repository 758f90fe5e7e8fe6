"""The shift detector: what moves its score, what does not, and what it says about it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from window_traffic import FEATURES, reordered, traffic, without_outputs

from detectors.batch import EventBatch
from detectors.shift import MIN_ROWS, ShiftDetector


@pytest.fixture(scope="module")
def detector() -> ShiftDetector:
    return ShiftDetector(ShiftDetector.fit(traffic(0, rows=3000)))


def score(detector: ShiftDetector, batch: EventBatch) -> float:
    return detector.score(detector.summarise(batch))


def test_clean_windows_of_other_clients_score_about_zero(detector: ShiftDetector) -> None:
    scores = [score(detector, traffic(seed, rows=300, first_client=100)) for seed in range(10, 40)]
    assert abs(float(np.median(scores))) < 1.5
    assert max(scores) < 6


@pytest.mark.parametrize("rows", [60, 300, 2000])
def test_a_move_scores_far_above_clean_at_any_size(detector: ShiftDetector, rows: int) -> None:
    clean = [score(detector, traffic(seed, rows=rows, first_client=100)) for seed in range(10, 20)]
    moved = [score(detector, traffic(seed, rows=rows, first_client=100, moved=2.0)) for seed in range(10, 20)]
    assert min(moved) > max(clean) + 3


def test_a_larger_move_scores_higher(detector: ShiftDetector) -> None:
    scores = [score(detector, traffic(9, rows=600, moved=moved)) for moved in (0.0, 0.7, 1.5, 3.0)]
    assert scores == sorted(scores)


def test_labels_alone_are_a_shift(detector: ShiftDetector) -> None:
    batch = traffic(9, rows=600)
    skewed = replace(batch, labels=np.where(np.arange(600) % 4 == 0, batch.labels, 2))
    assert score(detector, skewed) > score(detector, batch) + 4
    figures = detector.explain(detector.summarise(skewed))
    assert max(figures["parts"], key=figures["parts"].get) == "labels"
    assert figures["labels"][0]["label"] == "2"
    assert figures["labels"][0]["after"] > figures["labels"][0]["before"] + 0.4
    assert figures["label_distance"] == pytest.approx(0.56, abs=0.08)


def test_unknown_labels_are_a_shift_too(detector: ShiftDetector) -> None:
    batch = traffic(9, rows=600)
    figures = detector.explain(detector.summarise(replace(batch, labels=batch.labels + 1000)))
    assert figures["labels"][0] == {"label": "other", "before": 0.0, "after": 1.0}


def test_confidence_alone_is_a_shift(detector: ShiftDetector) -> None:
    batch = traffic(9, rows=600)
    unsure = replace(batch, scores=np.full_like(batch.scores, 0.25))
    figures = detector.explain(detector.summarise(unsure))
    assert max(figures["parts"], key=figures["parts"].get) == "confidence"
    assert figures["confidence"]["after"] < figures["confidence"]["before"]


@pytest.mark.parametrize(("feature", "value", "direction"), [(2, 7.1, "up"), (2, 6.0, "down"), (0, -5.0, "down")])
def test_the_moved_feature_is_named_with_its_direction(
    detector: ShiftDetector, feature: int, value: float, direction: str
) -> None:
    batch = traffic(9, rows=600)
    x = batch.x.copy()
    x[:, feature] = value
    named = detector.explain(detector.summarise(replace(batch, x=x)))["features"][0]
    assert (named["feature"], named["direction"]) == (feature, direction)
    assert named["distance"] > 0.9


def test_missing_values_are_a_shift_of_their_own(detector: ShiftDetector) -> None:
    batch = traffic(9, rows=600)
    x = batch.x.copy()
    x[:, 1] = np.nan
    named = detector.explain(detector.summarise(replace(batch, x=x)))["features"][0]
    assert named == {"feature": 1, "distance": 1.0, "direction": "more missing"}
    x = batch.x.copy()
    x[:, 5] = np.where(np.isnan(x[:, 5]), np.float32(0), x[:, 5])
    named = detector.explain(detector.summarise(replace(batch, x=x)))["features"][0]
    assert (named["feature"], named["direction"]) == (5, "fewer missing")


def test_missing_values_are_counted_also_where_a_sum_would_overflow(detector: ShiftDetector) -> None:
    batch = traffic(9, rows=600)
    x = batch.x.copy()
    x[:, 0], x[::2, 1], x[3:, 2] = 3e38, 3e38, -3e38
    x[1::2, 1] = -3e38
    x[7, 4] = np.nan
    missing = detector.summarise(replace(batch, x=x)).counts["missing"]
    assert missing.tolist() == [0, 0, 0, 0, 1, int(np.isnan(x[:, 5]).sum())]


def test_outputs_that_are_absent_say_nothing(detector: ShiftDetector) -> None:
    batch = traffic(9, rows=600)
    figures = detector.explain(detector.summarise(without_outputs(batch)))
    assert figures["label_distance"] == 0
    assert figures["confidence"] == {}
    assert np.isfinite(score(detector, without_outputs(batch)))


def test_a_model_without_outputs_has_features_alone() -> None:
    params = ShiftDetector.fit(without_outputs(traffic(0)))
    detector = ShiftDetector(params)
    assert score(detector, without_outputs(traffic(9, rows=300))) < 6
    assert score(detector, without_outputs(traffic(9, rows=300, moved=2.0))) > 8


def test_few_clients_must_move_further_than_many(detector: ShiftDetector) -> None:
    """The same rows said by two clients say less than said by all."""
    batch = traffic(9, rows=400, moved=1.0)
    two = replace(batch, clients=tuple(f"client:{i % 2}" for i in range(400)))
    assert score(detector, two) < score(detector, batch)


def test_too_few_rows_are_no_opinion(detector: ShiftDetector) -> None:
    assert np.isnan(score(detector, traffic(9, rows=MIN_ROWS - 1)))
    assert np.isfinite(score(detector, traffic(9, rows=MIN_ROWS)))


def test_rows_of_another_width_are_left_out(detector: ShiftDetector) -> None:
    batch = traffic(9, rows=100)
    wide = replace(batch, x=np.zeros((100, FEATURES + 1), dtype=np.float32), shape=(FEATURES + 1,))
    summary = detector.summarise(wide)
    assert summary.count == 0
    assert np.isnan(detector.score(summary))


def test_order_of_rows_does_not_matter(detector: ShiftDetector) -> None:
    batch = traffic(9, rows=500)
    assert score(detector, reordered(batch, 1)) == score(detector, batch)


def test_fit_wants_enough_rows() -> None:
    with pytest.raises(ValueError, match="the shift detector needs"):
        ShiftDetector.fit(traffic(0, rows=2 * MIN_ROWS - 1))


@pytest.mark.parametrize("clients", [1, 2, 5])
def test_few_clients_can_be_fitted_on(clients: int) -> None:
    detector = ShiftDetector(ShiftDetector.fit(traffic(0, clients=clients)))
    assert np.isfinite(score(detector, traffic(0, clients=clients, rows=300)))
