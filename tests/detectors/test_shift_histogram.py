"""Edges and counts: what a CDF is read from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from detectors.histogram import EDGES, count_above, fit_edges

_values = st.one_of(
    st.floats(-1e6, 1e6, width=32, allow_subnormal=False),
    st.just(float("nan")),
    st.sampled_from([0.0, -0.0, 1.0, 255.0, 2.0**-126, 2.0**127]),
)


@given(arrays(np.float32, st.tuples(st.integers(1, 80), st.integers(1, 4)), elements=_values))
def test_counts_are_those_of_a_plain_comparison(x: np.ndarray) -> None:
    edges = fit_edges(x)
    with np.errstate(invalid="ignore"):
        plain = np.array([[int((x[:, j] > e).sum()) for j, e in enumerate(row)] for row in edges])
    assert np.array_equal(count_above(x, edges), plain)
    assert np.array_equal(edges, np.sort(edges, axis=0))


@pytest.mark.parametrize(("rows", "features"), [(2000, 30), (2001, 30), (16_001, 3), (61, 800), (700, 300), (8200, 8)])
def test_many_rows_count_like_a_plain_comparison(rows: int, features: int) -> None:
    rng = np.random.default_rng(rows)
    x = np.round(rng.normal(size=(rows, features)), 2).astype(np.float32)
    x[rng.random(x.shape) < 0.05] = np.nan
    edges = fit_edges(x[:500])
    plain = np.array([[np.count_nonzero(x[:, j] > e) for j, e in enumerate(row)] for row in edges])
    assert np.array_equal(count_above(x, edges), plain)
    assert np.array_equal(count_above(np.asfortranarray(x), edges), plain)


def test_wide_rows_count_like_narrow_ones() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(700, 300)).astype(np.float32)
    edges = fit_edges(x)
    narrow = np.concatenate([count_above(x[:, :100], edges[:, :100]), count_above(x[:, 100:], edges[:, 100:])], axis=1)
    assert np.array_equal(count_above(x, edges), narrow)


def test_counts_add_over_any_division_of_the_rows() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(1000, 5)).astype(np.float32)
    edges = fit_edges(x)
    parts = [count_above(part, edges) for part in np.split(x, [1, 300, 301, 900])]
    assert np.array_equal(sum(parts), count_above(x, edges))


def test_a_feature_of_few_values_has_an_exact_cdf() -> None:
    x = np.repeat(np.array([0.0, 1.0, 5.0], dtype=np.float32), [50, 30, 20])[:, None]
    edges = fit_edges(x)
    assert edges[np.isfinite(edges)].tolist() == [-np.finfo(np.float32).tiny, 0.0, 1.0, 5.0]
    assert count_above(x, edges)[:4, 0].tolist() == [100, 50, 20, 0]


@pytest.mark.parametrize("to", [6.999, 7.001, -1e30])
def test_a_constant_feature_shows_any_move(to: float) -> None:
    edges = fit_edges(np.full((100, 1), 7.0, dtype=np.float32))
    moved = count_above(np.full((10, 1), to, dtype=np.float32), edges)
    still = count_above(np.full((10, 1), 7.0, dtype=np.float32), edges)
    assert np.abs(moved - still).max() == 10


@pytest.mark.parametrize("to", [-0.01, 0.01])
def test_mass_leaving_a_common_value_shows_on_either_side(to: float) -> None:
    rng = np.random.default_rng(3)
    x = np.where(rng.random(2000) < 0.6, 0.5, rng.normal(size=2000)).astype(np.float32)[:, None]
    edges = fit_edges(x)
    moved = np.where(x == np.float32(0.5), np.float32(0.5 + to), x)
    assert np.abs(count_above(moved, edges) - count_above(x, edges)).max() > 0.55 * 2000


def test_values_beyond_the_reference_show() -> None:
    x = np.random.default_rng(4).normal(size=(5000, 1)).astype(np.float32)
    edges = fit_edges(x)
    assert count_above(np.full((9, 1), 1e9, dtype=np.float32), edges)[np.isfinite(edges)].tolist() == [9] * EDGES
    assert count_above(np.full((9, 1), -1e9, dtype=np.float32), edges).sum() == 0


def test_edges_are_close_to_the_exact_distance() -> None:
    """32 quantiles: the binned KS distance is within 1/31 of the exact one."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(4000, 1)).astype(np.float32), rng.normal(0.4, 1.2, size=(3000, 1)).astype(np.float32)
    edges = fit_edges(x)
    binned = np.abs(count_above(x, edges) / len(x) - count_above(y, edges) / len(y)).max()
    every = np.concatenate([x, y])
    exact = max(abs(float((x > e).mean() - (y > e).mean())) for e in every[::7, 0])
    assert exact - 1 / 31 <= binned <= exact + 0.01


def test_only_missing_values_have_no_edges() -> None:
    assert np.isinf(fit_edges(np.full((10, 2), np.nan, dtype=np.float32))).all()
