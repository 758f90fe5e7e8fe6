"""Partial repeats: who changes one part of an earlier query scores by the parts that stayed."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from row_traffic import PICTURE, batch, camera, honest, inputs

from detectors.alone import Alone
from detectors.batch import EventBatch, FloatArray
from detectors.contract import Params
from detectors.detail import block_of_feature
from detectors.exact import figure
from detectors.partial_repeat import PartialRepeat

LARGE = (28, 28)
SHAPES = {"picture": (PICTURE, 16), "table": ((20,), 16), "short table": ((6,), 6)}


@cache
def params(shape: tuple[int, ...]) -> Params:
    return PartialRepeat.fit(honest(1, shape=shape))


def scored(rows: EventBatch) -> FloatArray:
    return Alone(PartialRepeat(params(rows.shape))).score(rows)


def one_feature_at_a_time(shape: tuple[int, ...], rows: int = 12) -> EventBatch:
    rng = np.random.default_rng(2)
    d = int(np.prod(shape))
    x = np.repeat(inputs(rng, 1, shape) + rng.normal(0.0, 0.05, (1, d)), rows, axis=0)
    x[np.arange(1, rows), np.arange(1, rows) % d] += 0.01 * np.arange(1, rows)
    return batch(x, ["client:a"] * rows, shape)


def pictures(shape: tuple[int, int], rows: int, seed: int = 3) -> FloatArray:
    """The same picture in all rows, ``(rows, h, w)``."""
    rng = np.random.default_rng(seed)
    x = inputs(rng, 1, shape) + rng.normal(0.0, 0.05, (1, int(np.prod(shape))))
    return np.repeat(x, rows, axis=0).reshape(rows, *shape)


def sent(x: FloatArray, client: str = "client:a") -> EventBatch:
    return batch(x.reshape(len(x), -1), [client] * len(x), x.shape[1:])


@pytest.mark.parametrize("name", SHAPES)
def test_the_blocks_that_stayed_count_eight_bits_each(name: str) -> None:
    shape, blocks = SHAPES[name]
    scores = scored(one_feature_at_a_time(shape, rows=6))
    # A pixel is part of several runs.
    touched = 6 if name == "picture" else 2
    assert np.isnan(scores[0])
    assert (scores[2:] >= 7.0 * (blocks - touched)).all()
    assert (scores[2:] <= 8.0 * blocks).all()


def test_one_form_that_agrees_may_have_been_corrected() -> None:
    scores = scored(one_feature_at_a_time((20,), rows=3))
    assert scores[1] == 0.0
    assert scores[2] > 0.0


def test_one_picture_that_agrees_in_parts_is_enough() -> None:
    assert scored(one_feature_at_a_time(PICTURE, rows=2))[1] >= 7.0 * 10


def test_a_patch_leaves_the_parts_it_does_not_touch() -> None:
    x = pictures(PICTURE, 2)
    x[1, 0:4, 0:4] += 0.1
    assert scored(sent(x))[1] >= 7.0 * 5


def test_stripes_leave_the_changes_along_them_and_so_do_patches_on_them() -> None:
    """The Square attack: each column a little lighter or darker, then ever new patches all lighter or all darker."""
    x = pictures(LARGE, 3)
    signs = np.random.default_rng(5).choice([-1.0, 1.0], 28)
    x[1] += 0.1 * signs
    x[2] = x[1]
    x[2, 1:26, 1:26] = x[0, 1:26, 1:26] + 0.1
    scores = scored(sent(x))
    assert (scores[1:] >= 7.0 * 5).all()


@pytest.mark.parametrize("offset", [(0, 1), (2, 0), (-1, 1)])
def test_a_shifted_picture_has_the_same_parts(offset: tuple[int, int]) -> None:
    x = pictures(LARGE, 2)
    x[1] = np.roll(x[1], offset, axis=(0, 1))
    assert scored(sent(x))[1] >= 7.0 * 8


@pytest.mark.parametrize("shape", [(12, 10, 3), (3, 10, 12), (4, 4), (5, 9)])
def test_channels_and_small_pictures_have_parts(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(6)
    x = np.repeat(rng.normal(0.0, 1.0, (1, int(np.prod(shape)))), 2, axis=0)
    x[1] += 0.5
    assert scored(batch(x, ["client:a"] * 2, shape))[1] >= 7.0 * 6


def test_a_flat_picture_has_no_parts() -> None:
    x = np.zeros((3, *LARGE)) + np.array([0.1, 0.2, 0.3])[:, None, None]
    assert scored(sent(x))[1:].tolist() == [0.0, 0.0]


def test_missing_and_huge_values_are_no_changes() -> None:
    x = pictures(LARGE, 3)
    x[1, 3, 3] = np.nan
    x[2, 5, 5], x[2, 6, 5] = 3e38, -3e38
    scores = scored(sent(x))
    assert (scores[1:] >= 7.0 * 8).all()


def test_features_are_dealt_out_in_secret() -> None:
    one, other = (block_of_feature(40, np.random.default_rng(seed)) for seed in (1, 2))
    assert sorted(np.bincount(one).tolist()) == [2] * 8 + [3] * 8
    assert (one != other).any()


def test_which_parts_stand_for_a_picture_is_a_secret() -> None:
    x = pictures(LARGE, 1).reshape(1, -1).astype(np.float32)
    fitted = params(LARGE)
    other = fitted | {"digest_key": fitted["digest_key"][::-1].copy()}
    assert (PartialRepeat(fitted).block_hashes(x) != PartialRepeat(other).block_hashes(x)).any()


def test_what_is_measured_never_repeats_in_part() -> None:
    assert np.nanmax(scored(camera("client:cam"))) <= 24.0
    assert np.nanmax(scored(honest(4, rows=600))) <= 24.0


def test_background_weighs_nothing() -> None:
    """What hangs on the wall behind everybody is in all pictures."""
    clean = honest(1, shape=LARGE)
    x = clean.x.reshape(-1, *LARGE).copy()
    x[:, 8:] = x[0, 8:]
    clean = batch(x.reshape(len(x), -1).astype(np.float64), clean.clients, LARGE, clean.ts)
    fitted = PartialRepeat.fit(clean)
    hashes = PartialRepeat(fitted).block_hashes(clean.x)
    shares = np.stack([np.bincount(h, minlength=256) for h in hashes.T]) / len(hashes)
    assert shares.max() > 0.3
    assert (fitted["block_bits"][shares >= 0.01] == 0.0).all()
    assert (fitted["block_bits"].max(axis=1) == 8.0).all()
    assert np.nanmax(Alone(PartialRepeat(fitted)).score(clean)) <= 24.0


def test_whole_repeats_have_no_opinion() -> None:
    rows = one_feature_at_a_time(PICTURE).take(np.array([0, 1, 0, 1, 2, 2]))
    assert np.isnan(scored(rows)).tolist() == [True, False, True, True, False, True]


def test_a_finding_can_say_how_much_was_the_same() -> None:
    rows = one_feature_at_a_time(PICTURE)
    detector = PartialRepeat(params(PICTURE))
    figures = Alone(detector).explain(rows, 5)
    hashes = detector.block_hashes(rows.x[:6])
    assert figures["equal_blocks"] == np.count_nonzero(hashes[:5] == hashes[5], axis=1).max() >= 10
    assert figures["blocks"] == 16
    assert figures["equal_bits"] == figure(scored(rows)[5])
