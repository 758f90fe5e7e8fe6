"""Dividing the way between two inputs shows from the first step on, however wide it is and in whatever shares."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from row_traffic import PICTURE, TABLE, batch, bisection, camera, honest, inputs, merged

from detectors.alone import Alone
from detectors.batch import EventBatch, FloatArray
from detectors.bisection import Bisection
from detectors.contract import Params
from detectors.queries import DIMS, RING, Queries


@cache
def params(shape: tuple[int, ...] = PICTURE) -> Params:
    return Bisection.fit(merged(honest(1, shape, rows=1200), honest(2, shape, rows=400, prefix="f")))


def scored(rows: EventBatch) -> FloatArray:
    return Alone(Bisection(params(tuple(rows.shape)))).score(rows)


def divided(ends: np.ndarray, steps: int, lower: int = 0, share: float = 0.5) -> np.ndarray:
    """Both ends, then points at a share of the way between those that are ends still; ``lower``: bits say which end
    moves."""
    a, b, out = ends[0], ends[1], [ends[0], ends[1]]
    for step in range(steps):
        out.append((a + share * (b - a)).astype(np.float32))
        a, b = (out[-1], b) if lower >> step & 1 else (a, out[-1])
    return np.array(out)


@pytest.mark.parametrize("shape", [PICTURE, TABLE])
@pytest.mark.parametrize("lower", [0b000000, 0b101101, 0b111111])
@pytest.mark.parametrize(("share", "steps"), [(0.5, 6), (0.382, 6), (0.75, 4)])  # until rounding bends what is left
def test_every_step_shows_from_the_third_query_on(shape: tuple[int, ...], lower: int, share: float, steps: int) -> None:
    x = divided(inputs(np.random.default_rng(3), 2, shape), steps, lower, share)
    scores = scored(batch(x, ["client:a"] * len(x), shape))
    assert np.isnan(scores[:2]).all()
    assert (scores[2:] > 4.0).all()


def test_answers_play_no_part() -> None:
    x = divided(inputs(np.random.default_rng(3), 2, PICTURE), 6)
    with_, without = (scored(batch(x, ["client:a"] * len(x), PICTURE, outputs=outputs)) for outputs in (True, False))
    np.testing.assert_array_equal(with_, without)


def test_ordinary_requests_in_between_do_not_hide_it() -> None:
    rng = np.random.default_rng(4)
    x = divided(inputs(rng, 2, PICTURE), 6)
    between = inputs(rng, 4 * len(x), PICTURE) + rng.normal(0.0, 0.05, (4 * len(x), 64))
    both = np.concatenate([np.concatenate([between[4 * i : 4 * i + 4], x[i : i + 1]]) for i in range(len(x))])
    assert (scored(batch(both, ["client:a"] * len(both), PICTURE))[14::5] > 4.0).all()


def test_frames_of_a_camera_scenes_that_change_and_different_inputs_are_no_divided() -> None:
    assert np.nanmax(scored(camera("client:cam", seed=4, flips=True))) < 3.0
    assert np.nanmax(scored(honest(5, rows=600))) < 3.0
    rng = np.random.default_rng(6)
    one, other = inputs(rng, 2, PICTURE)
    share = np.linspace(0.0, 1.0, 40)[:, None]
    melting = (1 - share) * one + share * other + rng.normal(0.0, 0.04, (40, 64))
    assert np.nanmax(scored(batch(melting, ["client:cam"] * 40, PICTURE))) < 3.0


def test_noise_hides_the_way() -> None:
    """What docs say evades it."""
    rng = np.random.default_rng(7)
    x = divided(inputs(rng, 2, PICTURE), 12)
    x += rng.normal(0.0, 0.3, x.shape).astype(np.float32)
    assert np.nanmax(scored(batch(x, ["client:a"] * len(x), PICTURE))) < 3.0


def test_a_repeat_has_no_opinion() -> None:
    rows = bisection("client:a", rows=12).take(np.array([0, 1, 2, 2, 0]))
    assert np.isnan(scored(rows)).tolist() == [True, True, False, True, True]


def test_scores_are_those_of_a_plain_search_over_all_pairs() -> None:
    """Bits from 1 to 8; one of the two among the latest 12 distinct queries, the other among the latest 44."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(90, 6))
    for i in range(20, 90, 3):  # some of them more or less between two others
        a, b = x[i - rng.integers(1, 16)], x[rng.integers(max(i - 50, 0), i)]
        x[i] = a + rng.random() * (b - a) + 10 ** rng.uniform(-4, 0) * rng.normal(size=6)
    rows = batch(x, ["client:a"] * 90, TABLE)
    scores = scored(rows)
    z = Queries(params(TABLE)).projected(rows.x)[:, :DIMS].astype(np.float32).astype(np.float64)
    seen = []
    for i in range(2, 90):
        to_a, to_b = z[i] - z[max(i - 12, 0) : i], z[i] - z[max(i - RING, 0) : i]
        to_a, to_b = (way / np.linalg.norm(way, axis=1)[:, None] for way in (to_a, to_b))
        cosines = np.maximum(to_a @ to_b.T, -1.0)
        best = float(np.max(np.where(cosines < 0, -0.5 * np.log2(np.maximum(1.0 - cosines**2, 2.0**-16)), 0.0)))
        seen.append(best)
        assert scores[i] == pytest.approx(best if best > 1.0 else 0.0, abs=0.01)
    assert min(seen) < 1.0 < 7.0 < max(seen)


def test_the_same_place_twice_is_no_way() -> None:
    """Different bytes, but the same place to single precision: no direction leads there."""
    x = np.repeat(inputs(np.random.default_rng(1), 1, TABLE), 6, axis=0).astype(np.float32)
    x[:, 0] += np.arange(6, dtype=np.float32) * np.float32(1e-7)
    assert not np.isinf(scored(batch(x, ["client:a"] * 6, TABLE))).any()


def test_a_finding_can_say_between_which() -> None:
    x = inputs(np.random.default_rng(9), 3, PICTURE)
    x[2] = x[0] + 0.25 * (x[1] - x[0])
    figures = Alone(Bisection(params())).explain(batch(x, ["client:a"] * 3, PICTURE), 2)
    assert figures["bend_degrees"] < 1.0
    assert figures["queries_ago"] == [1, 2]
    assert figures["share_of_way"] == pytest.approx(0.75, abs=0.01)
    assert figures["queries_compared"] == 2
