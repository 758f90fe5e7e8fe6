"""The noise floor: computed queries lie below it, measured ones do not, whatever the answers were."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from row_traffic import PICTURE, TABLE, batch, bisection, camera, honest, inputs, merged

from detectors.alone import Alone
from detectors.batch import EventBatch, FloatArray
from detectors.contract import Params
from detectors.detail import detail_weights
from detectors.noise_floor import NoiseFloor
from detectors.queries import DIMS, Queries
from detectors.spacing import between_clients, sample


@cache
def params() -> Params:
    """Fitted on honest clients, one of them a camera."""
    return NoiseFloor.fit(merged(honest(1, rows=2000), camera("client:cam", seed=3)))


def scored(rows: EventBatch) -> FloatArray:
    return Alone(NoiseFloor(params())).score(rows)


def steps(rng: np.random.Generator, size: float, rows: int = 60) -> EventBatch:
    """A walk from one input by small random steps: one class, so no answer ever changes."""
    x = inputs(rng, 1, PICTURE) + np.cumsum(rng.normal(0.0, size, (rows, 64)), axis=0)
    walk = batch(x, ["client:walk"] * rows, PICTURE)
    return replace(walk, labels=np.zeros(rows, dtype=np.int64))


def test_a_walk_in_small_steps_lies_below_the_floor_though_no_answer_changes() -> None:
    scores = scored(steps(np.random.default_rng(1), 0.002))
    assert np.isnan(scores[0])
    assert np.median(scores[1:]) > 2.0


def test_half_the_step_is_one_bit_more() -> None:
    small, smaller = (scored(steps(np.random.default_rng(2), size))[1:] for size in (0.008, 0.004))
    np.testing.assert_allclose(np.median(smaller - small), 1.0, atol=0.1)


def test_frames_of_a_camera_and_different_inputs_stay_above_it() -> None:
    assert np.nanmax(scored(camera("client:other", seed=4, flips=True))) < 1.0
    assert np.nanmax(scored(honest(5, rows=600))) < 1.0


def test_detail_is_blind_to_smooth_changes_and_sees_noise() -> None:
    """Away from the border, where a picture ends, two Laplacians leave nothing of a slope and all of the noise."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:24, :24] / 23.0
    bump = (np.sin(np.pi * x) * np.sin(np.pi * y)).reshape(-1) ** 2
    noise = rng.normal(0.0, 1.0, bump.shape)
    weights = detail_weights(rng.choice(np.array([-1, 1], dtype=np.int8), (12, 576)), (24, 24)).astype(np.float64)
    smooth, rough = (np.linalg.norm(weights @ v) / np.linalg.norm(v) for v in (bump, noise))
    assert smooth < 0.05 * rough


def test_a_repeat_has_no_opinion() -> None:
    rows = bisection("client:a", rows=12).take(np.array([3, 3, 4]))
    assert np.isnan(scored(rows)[:2]).all()


def test_without_a_clean_client_that_watches_a_scene_the_floor_is_well_below_different_clients() -> None:
    clean = honest(1, shape=TABLE, rows=800)
    fitted = NoiseFloor.fit(clean)
    rows, clients = sample(clean)
    detail = Queries(fitted).projected(clean.x[rows])[:, DIMS:]
    assert 0.0 < float(fitted["detail_floor"]) <= 0.25 * between_clients(detail, clients, 0.005)


def test_a_finding_can_say_how_near() -> None:
    rows = steps(np.random.default_rng(6), 0.002)
    figures = Alone(NoiseFloor(params())).explain(rows, 30)
    assert figures["detail_distance"] < figures["least_among_clean"]
    assert figures["queries_compared"] == 30
