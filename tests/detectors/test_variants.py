"""Variants of one picture score; frames of one scene and pictures of different things do not."""

from __future__ import annotations

from functools import cache

import numpy as np
from row_traffic import batch, honest
from scipy import ndimage

from detectors.alone import Alone
from detectors.batch import EventBatch, FloatArray
from detectors.contract import Params
from detectors.outline import WAVES, amplitudes, outline_weights
from detectors.variants import Variants

SHAPE = (16, 16)


def scenes(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Pictures of three blobs somewhere in the middle, ``(n, 16, 16)``."""
    y, x = np.mgrid[:16, :16]
    centres = rng.uniform(4.0, 11.0, (rows, 3, 2))
    squared = (y - centres[..., :1, None]) ** 2 + (x - centres[..., 1:, None]) ** 2
    return np.exp(-squared / rng.uniform(1.0, 4.0, (rows, 3, 1, 1))).max(axis=1)


def pictures(seed: int, rows: int = 1200) -> EventBatch:
    rng = np.random.default_rng(seed)
    x = scenes(rng, rows).reshape(rows, -1) + rng.normal(0.0, 0.02, (rows, 256))
    return batch(x, [f"client:{seed}-{c}" for c in rng.integers(0, 24, rows)], SHAPE)


def variants(x: np.ndarray) -> EventBatch:
    return batch(x.reshape(len(x), -1), ["client:a"] * len(x), SHAPE)


@cache
def params() -> Params:
    return Variants.fit(pictures(1))


def scored(rows: EventBatch) -> FloatArray:
    return Alone(Variants(params())).score(rows)


def usual() -> float:
    return float(np.nanquantile(scored(pictures(2)), 0.99))


def test_noise_of_growing_strength_on_one_picture_scores() -> None:
    rng = np.random.default_rng(3)
    one = scenes(rng, 1)
    noisy = [one[0] + rng.normal(0.0, s, SHAPE) for s in np.repeat([0.05, 0.1, 0.2, 0.3], 8)]
    scores = scored(variants(np.stack(noisy)))
    assert np.median(scores[16:]) > usual() + 1.0


def test_shifts_of_one_picture_have_one_outline() -> None:
    one = scenes(np.random.default_rng(4), 1)[0]
    shifted = [ndimage.shift(one, (i, j), order=1) for i in (-2, -1, 0, 1, 2) for j in (-2, -1, 0, 1, 2)]
    flat = np.stack(shifted).reshape(25, -1)
    outlines = amplitudes(flat @ outline_weights(SHAPE).T)
    others = amplitudes(scenes(np.random.default_rng(5), 25).reshape(25, -1) @ outline_weights(SHAPE).T)
    assert outlines.shape == (25, len(WAVES))
    apart = np.linalg.norm(others - others[0], axis=1)[1:]
    assert np.linalg.norm(outlines - outlines[12], axis=1).max() < 0.2 * apart.mean()


def test_frames_of_a_still_scene_do_not() -> None:
    rng = np.random.default_rng(6)
    frames = scenes(rng, 1) + rng.normal(0.0, 0.02, (60, *SHAPE))
    assert np.count_nonzero(scored(variants(frames)) > 0.0) <= 2


def test_rows_that_are_no_pictures_have_no_opinion() -> None:
    clean = honest(1, shape=(6,))
    assert np.isnan(Alone(Variants(Variants.fit(clean))).score(clean)).all()


def test_a_finding_can_say_how_far() -> None:
    rng = np.random.default_rng(7)
    noisy = scenes(rng, 1) + rng.normal(0.0, 0.3, (20, *SHAPE))
    figures = Alone(Variants(params())).explain(variants(noisy), 19)
    assert figures["outline_distance"] > 0.0
    assert figures["detail_distance"] > 2.0 * figures["detail_between_clients"]
