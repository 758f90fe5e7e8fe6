"""Answers: common ones have codes, means fall back on all rows, doubt is the log of the margin in steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from row_traffic import honest

from detectors.answers import (
    DOUBT_STEPS,
    LEAST_ROWS,
    NO_DOUBT,
    answer_codes,
    common_answers,
    doubts,
    margins,
    means_by_answer,
)
from detectors.batch import EventBatch


def test_answers_of_enough_rows_are_common_and_ascending() -> None:
    labels = np.repeat([9, -4, 7, 2**61], [LEAST_ROWS, LEAST_ROWS - 1, 500, 60])
    assert common_answers(labels).tolist() == [7, 9, 2**61]
    assert common_answers(labels[:10]).tolist() == []


def test_at_most_255_answers_are_told_apart_the_most_common_ones() -> None:
    labels = np.repeat(np.arange(300), np.where(np.arange(300) < 45, LEAST_ROWS, LEAST_ROWS + 1))
    assert common_answers(labels).tolist() == list(range(45, 300))


def test_codes_are_places_among_the_answers() -> None:
    answers = np.array([-1, 5, 2**61])
    assert answer_codes(answers, np.array([5, 2**61, -1, 6, -7, 2**62])).tolist() == [1, 2, 0, 3, 3, 3]
    assert answer_codes(answers[:0], np.array([5, 6])).tolist() == [0, 0]


def test_rare_answers_have_the_mean_of_all_and_what_is_missing_does_not_count() -> None:
    answers = np.array([1, 2])
    labels = np.repeat([1, 2, 3], [LEAST_ROWS, LEAST_ROWS, 10])
    values = np.where(labels == 1, 4.0, 1.0)
    values[labels == 2] = np.where(np.arange(LEAST_ROWS) < 5, np.nan, 3.0)
    whole = (4.0 * LEAST_ROWS + 3.0 * (LEAST_ROWS - 5) + 10) / (2 * LEAST_ROWS + 5)
    np.testing.assert_allclose(means_by_answer(answers, labels, values), [4.0, whole, whole], rtol=1e-5)
    assert means_by_answer(answers, labels, np.full(len(labels), np.nan)).tolist() == [0.0, 0.0, 0.0]


def with_scores(scores: list[list[float]]) -> EventBatch:
    rows = honest(2, rows=len(scores))
    return replace(rows, scores=np.array(scores, dtype=np.float32))


def test_doubt_is_the_log_of_the_margin_between_the_two_best() -> None:
    rows = with_scores([[1.0, 0.0, 0.0], [0.75, 0.25, 0.0], [0.5, 0.25, 0.25], [0.4, 0.4, 0.2]])
    assert margins(rows, np.arange(4)) == pytest.approx([1.0, 0.5, 0.25, 0.0])
    assert (doubts(rows, np.arange(4)) / DOUBT_STEPS).tolist() == [0.0, 1.0, 2.0, 10.0]


@pytest.mark.parametrize("scores", [[[1.0]], [[np.nan, 0.5]], [[0.5, np.nan, 0.1]]])
def test_there_is_no_doubt_without_two_scores(scores: list[list[float]]) -> None:
    assert doubts(with_scores(scores), np.array([0])).tolist() == [NO_DOUBT]
    assert doubts(replace(with_scores(scores), scores=None), np.array([0])).tolist() == [NO_DOUBT]
