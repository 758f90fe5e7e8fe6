"""Exact arithmetic, fingerprints, samples and scales: what lets a stream be cut anywhere."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from row_traffic import PICTURE, TABLE, honest

from detectors.digest import digest_key, digests, seed_of
from detectors.exact import INPUT_LIMIT, figure, grid_inputs, grid_weights, row_blocks
from detectors.sampling import fair_rows
from detectors.scale import Scale
from detectors.subspace import MAX_LEADING, Subspace


@settings(max_examples=40)
@given(d=st.integers(1, 300), seed=st.integers(0, 2**32 - 1))
def test_gridded_products_are_exact(d: int, seed: int) -> None:
    """Equal to rational arithmetic, and so to themselves in any order."""
    rng = np.random.default_rng(seed)
    a = grid_inputs(rng.normal(0, 100, (2, d)))
    b = grid_inputs(rng.normal(0, 100, (2, d)))
    w = grid_weights(np.clip(rng.normal(0, 0.5, (3, d)), -1, 1)).astype(np.float64)
    product = (a - b) @ w.T
    for i in range(2):
        for j in range(3):
            exact = sum(Fraction(float(a[i, k] - b[i, k])) * Fraction(float(w[j, k])) for k in range(d))
            assert Fraction(float(product[i, j])) == exact


def test_rows_alone_and_among_others_come_out_alike() -> None:
    clean = honest(1, rows=700)
    space = Subspace(Subspace.fit(clean, leading_only=False))
    together = space.coefficients(space.centred(clean.x))
    alone = np.concatenate([space.coefficients(space.centred(clean.x[i : i + 1])) for i in range(200)])
    np.testing.assert_array_equal(together[:200], alone)


def test_grids_clip_and_refuse() -> None:
    np.testing.assert_array_equal(grid_inputs(np.array([np.inf, -1e9])), [INPUT_LIMIT, -INPUT_LIMIT])
    with pytest.raises(ValueError, match="at most 1"):
        grid_weights(np.array([[1.5]]))


@given(rows=st.integers(0, 5000), d=st.integers(1, 10**7))
def test_blocks_cover_all_rows_once(rows: int, d: int) -> None:
    blocks = row_blocks(rows, d)
    assert [i for b in blocks for i in range(b.start, b.stop)] == list(range(rows))
    assert all((b.stop - b.start) * d <= 1 << 22 or b.stop - b.start == 1 for b in blocks)


def test_figures_have_six_digits() -> None:
    assert figure(123.4567891) == 123.457
    assert figure(0.0) == 0.0


@given(x=hnp.arrays(np.float32, st.tuples(st.integers(1, 20), st.just(8))))
def test_equal_inputs_have_equal_fingerprints_and_others_differ(
    x: np.ndarray[tuple[int, int], np.dtype[np.float32]],
) -> None:
    keys = digests(x, digest_key(1, 8))
    bits = (x + np.float32(0.0)).view(np.uint32)
    for i in range(len(x)):
        for j in range(i):
            assert (keys[i] == keys[j]) == bool((bits[i] == bits[j]).all())


def test_fingerprints_depend_on_the_key() -> None:
    x = np.ones((1, 8), dtype=np.float32)
    assert digests(x, digest_key(1, 8))[0] != digests(x, digest_key(2, 8))[0]
    assert seed_of(honest(1, rows=50)) == seed_of(honest(1, rows=50)) != seed_of(honest(2, rows=50))


def test_a_fair_sample_gives_every_client_its_turn() -> None:
    clean = honest(1, rows=1000, clients=5)
    busy = replace(clean, clients=tuple("client:busy" if i % 10 else c for i, c in enumerate(clean.clients)))
    rows = fair_rows(busy, 200)
    assert len(rows) == 200
    assert (np.diff(rows) > 0).all()
    counts = {client: len(mine) for client, mine in busy.take(rows).by_client().items()}
    alone = {client: len(mine) for client, mine in busy.by_client().items()}
    assert all(counts[c] == alone[c] for c in counts if c != "client:busy")


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=12), most=st.integers(1, 300))
def test_a_fair_sample_is_as_large_as_it_may_be(sizes: list[int], most: int) -> None:
    clean = honest(1, rows=sum(sizes))
    clean = replace(clean, clients=tuple(f"client:{i}" for i, n in enumerate(sizes) for _ in range(n)))
    rows = fair_rows(clean, most)
    assert len(rows) == min(most, sum(sizes))
    assert len(np.unique(rows)) == len(rows)


def test_pictures_have_one_scale_and_features_of_a_table_one_each() -> None:
    assert len(np.unique(Scale.fit(honest(1, PICTURE))["scale"])) == 1
    table = honest(1, TABLE)
    x = table.x.copy()
    x[:, 1] *= 1000.0
    x[:, 2] = 5.0
    params = Scale.fit(replace(table, x=x))
    assert params["scale"][1] > 100 * params["scale"][0]
    assert params["scale"][2] == 1.0
    z = Scale(params)(x)
    assert np.abs(np.median(z, axis=0)).max() < 0.01


def test_features_that_are_always_missing_are_harmless() -> None:
    table = honest(1, TABLE)
    x = table.x.copy()
    x[:, 0] = np.nan
    params = Scale.fit(replace(table, x=x))
    assert (Scale(params)(x)[:, 0] == 0.0).all()
    everything = Scale.fit(replace(table, x=np.full_like(x, np.nan)))
    assert (Scale(everything)(x)[:, 0] == 0.0).all()


def test_leading_directions_hold_most_of_the_variance() -> None:
    clean = honest(1, rows=2000)
    space = Subspace(Subspace.fit(clean))
    centred = space.centred(clean.x)
    outside = space.outside(centred, space.coefficients(centred))
    assert 1 <= space.leading <= MAX_LEADING
    assert np.sum(outside**2) < 0.12 * np.sum(centred**2)


def test_constant_inputs_have_a_subspace_too() -> None:
    clean = replace(honest(1, rows=300), x=np.full((300, 64), 0.25, dtype=np.float32))
    space = Subspace(Subspace.fit(clean, leading_only=False))
    assert np.isfinite(space.variance).all()
    assert (space.variance > 0).all()
    assert space.beyond_variance > 0
