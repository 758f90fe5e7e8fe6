"""Effective rows: how much a window says when its rows come from few clients."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.clusters import BUCKETS, _secret, client_counts, concentration, intra_class, inverse_rows
from detectors.kernels.names import MODULUS

SALT = bytes(range(16))


def test_concentration_of_one_client_is_one() -> None:
    assert concentration(client_counts(["client:a"] * 40, SALT)) == 1.0


@pytest.mark.parametrize("clients", [10, 60, 300])
def test_concentration_of_equal_clients_is_one_over_their_number(clients: int) -> None:
    """Clients that share a bucket by chance are allowed for, so more clients than buckets can be told."""
    found = [
        concentration(client_counts([f"client:{seed}-{i % clients}" for i in range(clients * 20)], SALT))
        for seed in range(20)
    ]
    assert np.mean(found) == pytest.approx(1 / clients, rel=0.15)


def test_counts_add_and_do_not_follow_the_clients_wishes() -> None:
    names = [f"client:{i % 7}" for i in range(50)]
    whole = client_counts(names, SALT)
    assert np.array_equal(client_counts(names[:13], SALT) + client_counts(names[13:], SALT), whole)
    assert whole.shape == (BUCKETS,)
    assert whole.sum() == 50
    assert not np.array_equal(client_counts(names, bytes(16)), whole)


@given(st.lists(st.text(st.characters(), max_size=6), max_size=8), st.binary(min_size=16, max_size=16))
def test_a_name_counts_in_the_bucket_of_its_polynomial(names: list[str], salt: bytes) -> None:
    point, factor = _secret(salt)
    expected = np.zeros(BUCKETS, dtype=np.int64)
    for name in names:
        raw = name.encode("utf-8", "surrogatepass")
        value = sum(b * pow(point, len(raw) - 1 - i, MODULUS) for i, b in enumerate(raw)) + pow(
            point, len(raw), MODULUS
        )
        word = value % MODULUS * factor % 2**32
        word = (word ^ word >> 15) * 0x4F1BBCDD % 2**32
        expected[word >> 24] += 1
    assert np.array_equal(client_counts(names, salt), expected)


@pytest.mark.parametrize("rho", [0.0, 0.2, 0.7])
def test_intra_class_correlation_is_recovered(rho: float) -> None:
    """Beta-binomial clusters: a share drawn per cluster with variance rho p (1 - p)."""
    rng = np.random.default_rng(7)
    clusters, size, p = 800, 12, 0.3
    share = np.full(clusters, p) if rho == 0 else rng.beta(p * (1 / rho - 1), (1 - p) * (1 / rho - 1), clusters)
    ones = rng.binomial(size, share).astype(np.float64)
    found = intra_class(ones[:, None, None], np.full((clusters, 1), float(size)))
    assert found[0] == pytest.approx(rho, abs=0.05)


def test_intra_class_correlation_that_cannot_be_told_is_zero() -> None:
    one_cluster = intra_class(np.array([[[3.0]]]), np.array([[10.0]]))
    constant = intra_class(np.full((5, 2, 1), 10.0), np.full((5, 1), 10.0))
    single_rows = intra_class(np.array([[[1.0]], [[0.0]]]), np.ones((2, 1)))
    assert [one_cluster[0], constant[0], single_rows[0]] == [0.0, 0.0, 0.0]


def test_effective_rows_run_from_clients_to_rows() -> None:
    rows = np.array([1000])
    assert 1 / inverse_rows(np.array([0.0]), rows, 0.1)[0] == pytest.approx(1000)
    assert 1 / inverse_rows(np.array([1.0]), rows, 0.1)[0] == pytest.approx(10)
    assert np.isinf(inverse_rows(np.array([0.3]), np.array([0]), 0.1)[0])
