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
from detectors.partial_repeat import PartialRepeat

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


@pytest.mark.parametrize("name", SHAPES)
def test_the_blocks_that_stayed_count_eight_bits_each(name: str) -> None:
    shape, blocks = SHAPES[name]
    scores = scored(one_feature_at_a_time(shape, rows=6))
    assert np.isnan(scores[0])
    assert scores[1] == 0.0  # one query that agrees may be a form, corrected
    assert (scores[2:] >= 7.0 * (blocks - 2)).all()
    assert (scores[2:] <= 8.0 * blocks).all()


def test_a_patch_leaves_the_tiles_it_does_not_touch() -> None:
    rng = np.random.default_rng(3)
    pictures = np.repeat(inputs(rng, 1, PICTURE) + rng.normal(0.0, 0.05, (1, 64)), 3, axis=0).reshape(3, 8, 8)
    pictures[1, 0:4, 0:4] += 0.1
    pictures[2, 2:6, 0:2] -= 0.1
    rows = batch(pictures.reshape(3, 64), ["client:a"] * 3, PICTURE)
    assert scored(rows)[2] >= 7.0 * 10


def test_small_places_stay_where_patches_cover_much_of_a_picture() -> None:
    """Three queries of the Square attack: a quarter of a 28 by 28 picture is left alone, but no tile of it whole."""
    shape, rng = (28, 28), np.random.default_rng(5)
    pictures = np.repeat(inputs(rng, 1, shape) + rng.normal(0.0, 0.05, (1, 784)), 3, axis=0).reshape(3, 28, 28)
    for number, corner in enumerate((1, 5, 3)):
        pictures[number, corner : corner + 22, 5:27] += 0.3
    assert scored(batch(pictures.reshape(3, 784), ["client:a"] * 3, shape))[2] >= 7.0 * 2


def test_blocks_of_a_picture_are_small_places_in_its_tiles_and_a_secret() -> None:
    shape = (28, 28)
    one, other = (block_of_feature(shape, np.random.default_rng(seed)).reshape(shape) for seed in (1, 2))
    assert np.bincount(one.ravel()).tolist() == [9] * 16 + [784 - 16 * 9]
    for tile in range(16):
        down, across = divmod(tile, 4)
        assert (one[7 * down : 7 * down + 7, 7 * across : 7 * across + 7] == tile).sum() == 9
    assert (one != other).any()


def test_a_change_beside_all_blocks_makes_another_query() -> None:
    shape, beside = (28, 28), np.flatnonzero(params((28, 28))["block"] == 16)
    x = np.repeat(inputs(np.random.default_rng(6), 1, shape), 4, axis=0)
    x[np.arange(1, 4), beside[:3]] += 0.5
    scores = scored(batch(x, ["client:a"] * 4, shape))
    assert np.isnan(scores[0])
    assert scores[2] >= 7.0 * 16


def test_what_is_measured_never_repeats_in_part() -> None:
    assert np.nanmax(scored(camera("client:cam"))) <= 24.0
    assert np.nanmax(scored(honest(4, rows=600))) <= 24.0


def test_background_weighs_nothing() -> None:
    clean = honest(1)
    x = clean.x.reshape(-1, 8, 8).copy()
    x[:, :4] = 0.0
    clean = batch(x.reshape(-1, 64).astype(np.float64), clean.clients, PICTURE, clean.ts)
    fitted = PartialRepeat.fit(clean)
    common = np.array([np.bincount(h, minlength=256).argmax() for h in PartialRepeat(fitted).block_hashes(clean.x).T])
    assert (fitted["block_bits"][np.arange(16), common] == 0.0)[:8].all()
    assert (fitted["block_bits"][8:].max(axis=1) == 8.0).all()
    assert np.nanmax(Alone(PartialRepeat(fitted)).score(clean)) <= 24.0


def test_whole_repeats_have_no_opinion() -> None:
    rows = one_feature_at_a_time(PICTURE).take(np.array([0, 1, 0, 1, 2, 2]))
    assert np.isnan(scored(rows)).tolist() == [True, False, True, True, False, True]


def test_a_finding_can_say_how_much_was_the_same() -> None:
    rows = one_feature_at_a_time(PICTURE)
    figures = Alone(PartialRepeat(params(PICTURE))).explain(rows, 5)
    assert figures["equal_blocks"] in (14, 15)
    assert figures["blocks"] == 16
    assert figures["equal_bits"] == scored(rows)[5]
