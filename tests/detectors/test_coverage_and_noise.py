"""Inputs of another kind and inputs with noise: told from clean ones, and from each other."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from row_traffic import CLASSES, PICTURE, batch, camera, foreign, honest, inputs, noisy
from scipy.ndimage import laplace

from detectors.alone import Alone
from detectors.batch import EventBatch, FloatArray
from detectors.contract import Params
from detectors.coverage import Coverage
from detectors.noise_residue import NoiseResidue
from detectors.pictures import is_picture
from detectors.regions import RING, Regions
from detectors.residue import Residue
from detectors.roughness import roughness


@cache
def coverage() -> Params:
    return Coverage.fit(honest(1, rows=2000))


@cache
def noise() -> Params:
    return NoiseResidue.fit(honest(1, rows=2000))


def test_inputs_of_another_kind_are_far_and_clean_ones_near() -> None:
    clean = Alone(Coverage(coverage())).score(honest(2, rows=400))
    strange = Alone(Coverage(coverage())).score(foreign("client:a"))
    assert np.nanquantile(strange, 0.1) > 3.0 * np.nanquantile(clean, 0.99)


def test_noise_leaves_a_residue_and_clean_inputs_about_one() -> None:
    clean = Alone(NoiseResidue(noise())).score(honest(2, rows=400))
    pushed = Alone(NoiseResidue(noise())).score(noisy("client:a"))
    assert 0.7 < np.nanmedian(clean) < 1.3
    assert np.nanquantile(pushed, 0.1) > 2.0 * np.nanquantile(clean, 0.99)


def test_each_leaves_the_other_kind_to_the_other() -> None:
    """Smooth residues are no noise; noisy inputs are as near to clean ones as the input under the noise."""
    assert np.isnan(Alone(NoiseResidue(noise())).score(foreign("client:a"))).mean() > 0.9
    near = Alone(Coverage(coverage())).score(noisy("client:a"))
    clean = Alone(Coverage(coverage())).score(honest(2, rows=400))
    assert np.nanmedian(near) < np.nanquantile(clean, 0.99)


def test_noise_that_drowns_the_input_makes_it_one_of_another_kind() -> None:
    drowned = noisy("client:a", eps=2.0)
    assert np.isnan(Alone(NoiseResidue(noise())).score(drowned)).all()
    assert np.nanmin(Alone(Coverage(coverage())).score(drowned)) > 3.0


@pytest.mark.parametrize("kind", [Coverage, NoiseResidue])
def test_one_odd_scene_is_one_opinion(kind: type[Coverage | NoiseResidue]) -> None:
    """Frames of a still camera, and repeats of one input, are judged once."""
    detector = Alone(kind(kind.fit(honest(1, rows=2000))))
    rng = np.random.default_rng(0)
    frames = foreign("client:cam", rows=1).take(np.zeros(100, dtype=np.int64))
    frames = replace(frames, x=(frames.x + rng.normal(0, 0.005, frames.x.shape)).astype(np.float32))
    places = Regions(noise()).locate(frames.x)["place"]
    scores = Alone(Coverage(coverage())).score(frames)
    assert len(np.unique(places)) < 20
    assert np.count_nonzero(~np.isnan(scores)) <= 5
    assert np.count_nonzero(~np.isnan(detector.score(camera("client:cam")))) < 60


def test_an_input_seen_lately_has_no_opinion_even_with_others_between() -> None:
    detector = Alone(Coverage(coverage()))
    strange = foreign("client:a", rows=RING)
    first = detector.score(strange)
    new = strange.take(np.flatnonzero(~np.isnan(first)))
    detector.learn(strange)
    assert np.isnan(detector.score(new)).all()


def test_explanations_carry_the_figures_behind_the_score() -> None:
    strange = foreign("client:a", rows=5)
    figures = Alone(Coverage(coverage())).explain(strange, 4)
    score = Alone(Coverage(coverage())).score(strange)
    if not np.isnan(score[4]):
        assert score[4] == pytest.approx(np.hypot(figures["distance"], figures["foreign_residue"]), rel=1e-4)
    assert figures["distance"] > figures["usual_distance"]
    pushed = noisy("client:a", rows=3)
    assert Alone(NoiseResidue(noise())).explain(pushed, 0)["residue"] == Alone(NoiseResidue(noise())).score(pushed)[0]


def test_missing_values_count_as_the_median() -> None:
    clean = honest(1, rows=2000)
    x = honest(2, rows=50).x.copy()
    x[:, :8] = np.nan
    filled = x.copy()
    filled[:, :8] = np.median(clean.x, axis=0)[:8]
    rows = honest(2, rows=50)
    one = Alone(NoiseResidue(noise())).score(replace(rows, x=x))
    other = Alone(NoiseResidue(noise())).score(replace(rows, x=filled))
    np.testing.assert_allclose(one, other, rtol=1e-3)


def test_residue_of_wide_inputs_takes_the_directions_beyond_together() -> None:
    """With more features than directions kept, a push anywhere still shows."""
    rng = np.random.default_rng(1)
    base = rng.normal(0.0, 1.0, (600, 3)) @ rng.normal(0.0, 1.0, (3, 400)) + rng.normal(0.0, 0.3, (600, 400))
    clean = batch(base, [f"client:{i % 30}" for i in range(600)], (20, 20))
    measure = Residue(Residue.fit(clean))

    def residue(rows: EventBatch) -> FloatArray:
        return np.asarray(measure(rows.x, rows.shape)["residue"])

    assert np.median(residue(clean)) == pytest.approx(1.0, abs=0.3)
    pushed = replace(clean, x=(clean.x + 1.0 * rng.choice([-1.0, 1.0], clean.x.shape)).astype(np.float32))
    assert residue(pushed).min() > 2.0 * residue(clean).max()


@pytest.mark.parametrize("shape", [(4, 9), (7, 5, 3)])
def test_roughness_is_that_of_the_laplacian_of_scipy(shape: tuple[int, ...]) -> None:
    pictures = np.random.default_rng(8).normal(size=(6, *shape))
    bends = [laplace(p if p.ndim == 2 else p[..., c], mode="nearest") for p in pictures for c in range(p[0, 0].size)]
    rough = (np.stack(bends) ** 2).reshape(6, -1).sum(axis=1)
    expected = rough / (pictures**2).reshape(6, -1).sum(axis=1)
    np.testing.assert_allclose(roughness(pictures.reshape(6, -1), shape), expected, rtol=1e-12)


def test_roughness_of_noise_ramps_and_nothing() -> None:
    rng = np.random.default_rng(2)
    white = rng.normal(size=(200, 1024))
    assert np.median(roughness(white, (32, 32))) == pytest.approx(20.0, rel=0.1)
    ramp = np.add.outer(np.arange(32.0), np.arange(32.0)).reshape(1, -1) - 31.0
    assert roughness(ramp, (32, 32))[0] < 0.1
    assert roughness(np.zeros((1, 64)), (8, 8))[0] == 0.0


def test_channels_may_come_first_or_last() -> None:
    rng = np.random.default_rng(3)
    last = rng.normal(size=(5, 6, 7, 3))
    first = np.moveaxis(last, 3, 1)
    np.testing.assert_allclose(roughness(last.reshape(5, -1), (6, 7, 3)), roughness(first.reshape(5, -1), (3, 6, 7)))


@pytest.mark.parametrize(
    ("shape", "picture"),
    [((8, 8), True), ((28, 28, 1), True), ((3, 32, 32), True), ((6,), False), ((3, 64), False), ((2, 2, 8, 8), False)],
)
def test_what_is_a_picture(shape: tuple[int, ...], picture: bool) -> None:
    assert is_picture(shape) == picture


def test_coverage_of_clean_inputs_is_the_distance_to_the_third_nearest() -> None:
    """Of three copies of one reference, one moved: the moved one decides."""
    rng = np.random.default_rng(4)
    few = batch(inputs(rng, 40, PICTURE), [f"client:{i % 20}" for i in range(40)], PICTURE)
    params = Coverage.fit(few)
    detector = Alone(Coverage(params))
    references = params["references"].astype(np.float64)
    white = Regions(params).locate(few.x[:1])["white"]
    expected = np.sort(np.linalg.norm(references - white, axis=1))[2] / np.sqrt(white.shape[1])
    measured = detector.explain(few.take(np.array([0])), 0)["distance"]
    assert measured == pytest.approx(expected, rel=1e-4)


def test_coverage_is_the_distance_to_inputs_that_were_answered_alike() -> None:
    """An ordinary input with the answer of another class is far from that class."""
    clean = honest(1, rows=2000)
    detector = Alone(Coverage(Coverage.fit(clean)))
    rows = honest(2, rows=40, clients=40)
    alike, other = detector.score(rows), detector.score(replace(rows, labels=(rows.labels + 1) % CLASSES))
    assert np.nanmedian(other) > 1.5 * np.nanmedian(alike)
    strange = detector.score(replace(rows, labels=np.full(40, 77)))
    of_any = Alone(Coverage(Coverage.fit(replace(clean, labels=np.arange(2000))))).score(rows)
    np.testing.assert_array_equal(strange, of_any)


def test_references_are_shared_out_among_answers() -> None:
    clean = honest(1, rows=2000)
    params = Coverage.fit(clean)
    answers, rows = np.unique(clean.labels, return_counts=True)
    assert params["answers"].tolist() == answers.tolist()
    assert np.diff(params["reference_ends"], prepend=0).tolist() == [*np.minimum(rows, 256).tolist(), 256]
