"""The noise floor of regular steps: they show however wide they are; what moves evenly before a camera does not."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from row_traffic import PICTURE, TABLE, batch, camera, honest, inputs, merged, walk

from detectors.alone import Alone
from detectors.batch import EventBatch, FloatArray
from detectors.contract import Params
from detectors.noise_floor import NoiseFloor
from detectors.queries import DETAIL_DIMS, DETAIL_STEPS, DIMS, RING, Queries


@cache
def params(shape: tuple[int, ...] = PICTURE) -> Params:
    """Fitted on honest clients; of pictures, one is a camera."""
    cameras = [camera("client:cam", seed=3)] if shape == PICTURE else []
    return NoiseFloor.fit(merged(honest(1, shape, rows=2000), *cameras))


def scored(rows: EventBatch) -> FloatArray:
    return Alone(NoiseFloor(params(tuple(rows.shape)))).score(rows)


@pytest.mark.parametrize("shape", [PICTURE, TABLE])
@pytest.mark.parametrize("steps", [4, 12, 40])
def test_a_walk_shows_from_the_third_query_on_however_wide_its_steps(shape: tuple[int, ...], steps: int) -> None:
    scores = scored(walk("client:a", shape, steps))
    assert np.isnan(scores).tolist() == [True] + [False] * steps
    assert (scores[2:] > 2.0).all()


def test_one_feature_swept_and_a_step_forwards_and_backwards_show() -> None:
    x = np.repeat(inputs(np.random.default_rng(4), 1, TABLE), 8, axis=0)
    x[:, 2] += 0.3 * np.arange(8)
    assert (scored(batch(x, ["client:a"] * 8, TABLE))[2:] > 3.0).all()
    tried = inputs(np.random.default_rng(5), 1, PICTURE) + 0.2 * np.array([[0.0], [1.0], [-1.0]]) * np.eye(64)[17]
    assert scored(batch(tried, ["client:a"] * 3, PICTURE))[2] > 3.0


def test_ordinary_requests_in_between_do_not_hide_it() -> None:
    x = walk("client:a", steps=12).x
    rng = np.random.default_rng(4)
    between = inputs(rng, 4 * len(x), PICTURE) + rng.normal(0.0, 0.05, (4 * len(x), 64))
    both = np.concatenate([np.concatenate([between[4 * i : 4 * i + 4], x[i : i + 1]]) for i in range(len(x))])
    assert (scored(batch(both, ["client:a"] * len(both), PICTURE))[14::5] > 3.0).all()


def test_frames_of_a_scene_that_moves_evenly_and_different_inputs_are_not_regular() -> None:
    x = walk("client:a").x + np.random.default_rng(6).normal(0.0, 0.03, (41, 64))
    assert np.nanmax(scored(batch(x, ["client:cam"] * 41, PICTURE))) < 1.0
    assert np.nanmax(scored(camera("client:other", seed=4, flips=True))) < 1.0
    assert np.nanmax(scored(honest(5, rows=600))) < 1.0


def test_noise_hides_it() -> None:
    """What docs say evades it."""
    x = walk("client:a", steps=12).x + np.random.default_rng(7).normal(0.0, 0.05, (13, 64))
    assert np.nanmax(scored(batch(x, ["client:a"] * 13, PICTURE))) < 1.0


def test_a_repeat_has_no_opinion_and_is_no_step() -> None:
    scores = scored(walk("client:a", steps=12).take(np.array([0, 1, 1, 2, 0, 2, 3])))
    assert np.isnan(scores).tolist() == [True, False, True, False, True, True, False]
    assert (scores[[3, 6]] > 3.0).all()


def test_scores_are_those_of_a_plain_search() -> None:
    """Steps from 3 bits on; one of the two among the latest 12 distinct queries, the other among the latest 44."""
    rng = np.random.default_rng(8)
    x = inputs(rng, 90, PICTURE) + rng.normal(0.0, 0.05, (90, 64))
    for i in range(20, 90, 3):  # some of them more or less as far again as two others were apart
        a, b = x[i - rng.integers(1, 16)], x[rng.integers(max(i - 50, 0), i)]
        x[i] = 2.0 * a - b + 10 ** rng.uniform(-4, -1) * rng.normal(size=64)
    x[50:60] = x[40:50] + 10 ** rng.uniform(-4, -2, (10, 1)) * rng.normal(size=(10, 64))
    rows = batch(x, ["client:a"] * 90, PICTURE)
    scores = scored(rows)
    queries = Queries(params())
    detail = np.rint(queries.projected(rows.x)[:, DIMS:] / (float(params()["detail_floor"]) / DETAIL_STEPS))
    by_distance, by_step = [], []
    for i in range(2, 90):
        near = np.sum((detail[i] - detail[max(i - RING, 0) : i]) ** 2, axis=1).min()
        by_distance.append(0.5 * np.log2(DETAIL_STEPS**2 / max(near, 1.0)))
        latest = np.arange(max(i - 12, 0), i)
        a, b = detail[latest, None], detail[None, max(i - RING, 0) : i]
        off = np.sum((detail[i] - 2.0 * a + b) ** 2, axis=2)
        off[latest - max(i - 12, 0), latest - max(i - RING, 0)] = np.inf  # from a query to itself is no step
        by_step.append(0.5 * np.log2(3.0 * DETAIL_STEPS**2 / max(off.min(), DETAIL_DIMS / 2)))
        best = max(by_distance[-1], by_step[-1] if by_step[-1] > 3.0 else 0.0, 0.0)
        assert scores[i] == pytest.approx(best, abs=1e-4)
    assert min(by_distance) < 0.0 < 3.0 < max(by_distance)
    assert min(by_step) < 3.0 < 5.0 < max(by_step)


def test_a_finding_can_say_which_went_before() -> None:
    figures = Alone(NoiseFloor(params())).explain(walk("client:a", steps=6), 6)
    assert figures["off_regular_step"] < 0.2 * figures["least_among_clean"] < figures["detail_distance"]
    one, other = figures["step_from_queries_ago"]
    assert other == 2 * one
    assert figures["queries_compared"] == 6
