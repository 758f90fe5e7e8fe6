"""Confidence: the narrower the margin between the two best classes, the higher the score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from row_traffic import honest

from detectors.alone import Alone
from detectors.batch import EventBatch
from detectors.confidence import Confidence


def with_scores(batch: EventBatch, scores: list[list[float]]) -> EventBatch:
    rows = batch.take(np.arange(len(scores)))
    return replace(rows, scores=np.array(scores, dtype=np.float32))


@pytest.fixture(scope="module")
def detector() -> Alone:
    return Alone(Confidence(Confidence.fit(honest(1, rows=400, clients=20))))


def one_row_each(n: int) -> EventBatch:
    """Rows of different clients, so that each is in a place new to its client."""
    rows = honest(2, rows=n, clients=n)
    return replace(rows, clients=tuple(f"client:{i}" for i in range(n)))


def test_the_score_is_the_log_of_the_margin(detector: Alone) -> None:
    rows = with_scores(one_row_each(4), [[1.0, 0.0, 0.0], [0.75, 0.25, 0.0], [0.5, 0.25, 0.25], [0.4, 0.4, 0.2]])
    np.testing.assert_allclose(detector.score(rows), [0.0, 1.0, 2.0, 10.0], atol=1e-6)
    assert detector.explain(rows, 1) == {"margin": 0.5}


def test_there_is_no_opinion_without_two_scores(detector: Alone) -> None:
    rows = one_row_each(3)
    assert np.isnan(detector.score(replace(rows, scores=None))).all()
    assert np.isnan(detector.score(with_scores(rows, [[1.0], [1.0], [1.0]]))).all()
    assert np.isnan(detector.score(with_scores(rows, [[np.nan, 0.5], [np.nan, np.nan], [0.5, np.nan]]))).all()
    assert detector.explain(replace(rows, scores=None), 0) == {}


def test_the_same_doubtful_input_is_one_doubt(detector: Alone) -> None:
    rows = with_scores(one_row_each(1), [[0.5, 0.5]]).take(np.zeros(5, dtype=np.int64))
    scores = detector.score(rows)
    assert scores[0] == 10.0
    assert np.isnan(scores[1:]).all()
