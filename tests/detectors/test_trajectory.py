"""Trajectories: who crosses one boundary back and forth scores by how often."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from row_traffic import PICTURE, batch, bisection, camera, honest, inputs

from detectors.alone import Alone
from detectors.batch import EventBatch, FloatArray
from detectors.contract import Params
from detectors.trajectory import Trajectory


@cache
def params() -> Params:
    return Trajectory.fit(honest(1, rows=2000))


def scored(rows: EventBatch) -> FloatArray:
    return Alone(Trajectory(params())).score(rows)


def with_labels(labels: list[int], apart: float = 0.001) -> EventBatch:
    """Queries ``apart`` from one input, answered with ``labels``."""
    rng = np.random.default_rng(1)
    x = inputs(rng, 1, PICTURE) + rng.normal(0.0, apart, (len(labels), 64))
    rows = batch(x, ["client:a"] * len(labels), PICTURE)
    return replace(rows, labels=np.array(labels, dtype=np.int64))


def test_each_crossing_counts_at_the_row_that_makes_it() -> None:
    scores = scored(with_labels([0, 1, 1, 0, 0, 1, 0]))
    np.testing.assert_array_equal(scores[1:], [0.0, 0.0, 1.0, 0.0, 1.58496, 2.0])


def test_one_crossing_is_nothing() -> None:
    assert np.nanmax(scored(with_labels([0] * 20 + [1] * 20))) == 0.0


def test_far_queries_are_no_part_of_the_path() -> None:
    assert np.nanmax(scored(with_labels([0, 1] * 20, apart=1.0))) == 0.0


def test_points_round_the_boundary_go_back_and_forth() -> None:
    scores = scored(bisection("client:a", rows=60))
    assert scores[30:].max() > 3.0


def test_a_scene_that_changes_crosses_seldom() -> None:
    assert np.nanmax(scored(camera("client:cam", flips=True))) <= 3.0


def test_two_classes_asked_in_turn_are_no_path() -> None:
    rows = honest(6, rows=400, clients=1)
    assert np.nanmax(scored(rows)) <= 1.0


def test_repeats_have_no_opinion() -> None:
    rows = with_labels([0, 1, 0]).take(np.array([0, 1, 0, 1, 2]))
    assert np.isnan(scored(rows)).tolist() == [True, False, True, True, False]


def test_a_finding_can_say_how_often() -> None:
    figures = Alone(Trajectory(params())).explain(with_labels([0, 1, 0, 1]), 3)
    assert figures["label_changes"] == 3
    assert figures["near_queries"] == figures["queries_compared"] == 3
