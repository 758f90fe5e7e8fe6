"""Synthetic: rows that are made score higher than rows that are measured; the trees are scikit-learn's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from row_traffic import PICTURE, foreign, honest, noisy
from row_traffic import batch as rows_of
from sklearn.ensemble import HistGradientBoostingClassifier

from detectors.alone import Alone
from detectors.batch import EventBatch
from detectors.counterfeits import counterfeits
from detectors.kernels.measures import value_shares
from detectors.made import _features
from detectors.scale import Scale
from detectors.synthetic import Synthetic
from detectors.trees import _DEPTH, _LEAST_LEAF, _LEAVES, _TREES, Trees

D = 12


def batch(x: np.ndarray, clients: list[str]) -> EventBatch:
    return rows_of(x, clients, (x.shape[1],))


def measured(n: int, seed: int) -> EventBatch:
    """Rows of three kinds whose features depend on one another, not linearly alone."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(3, size=n)
    hidden = rng.normal(size=(n, 3)) + 4.0 * np.eye(3)[kind]
    mixing = np.random.default_rng(0).normal(size=(3, D - 3))
    x = np.concatenate([hidden, np.abs(hidden) @ mixing + 0.1 * rng.normal(size=(n, D - 3))], axis=1)
    rows = batch(x.astype(np.float32), [f"client:{i % 30}" for i in range(n)])
    return replace(rows, labels=kind.astype(np.int64))


@pytest.fixture(scope="module")
def detector() -> Alone:
    return Alone(Synthetic(Synthetic.fit(measured(3000, 1))))


def test_each_kind_of_counterfeit_stands_out(detector: Alone) -> None:
    usual = detector.score(measured(400, 2))
    line = np.nanquantile(usual, 0.95)
    own = measured(400, 3)
    made = counterfeits(own.x, own.labels, 200, np.random.default_rng(4))
    assert made.shape == (1000, D)
    scores = detector.score(batch(made, [f"client:{i}" for i in range(len(made))])).reshape(5, 200)
    assert (np.mean(scores > line, axis=1) > 0.2).all()


def test_wide_rows_are_seen_by_the_spread_of_their_values() -> None:
    x = np.random.default_rng(0).random((3, 65)).astype(np.float32)
    x[0] = 0.5 * (x[1] > 0.5) + 0.5 * (x[2] > 0.5)  # a mixture of two of black and white: a third value
    scale = Scale(Scale.fit(batch(x, ["client:a"] * 3)))
    seen = _features(np.zeros((3, 2)), np.ones(3), scale, np.array([0.0, 1.0]), x)
    shares = [[np.mean(x[0] == 0.0), np.mean(x[0] == 0.5), np.mean(x[0] == 1.0)]]
    np.testing.assert_allclose(seen[:1, [4, 13, 21]], shares)
    np.testing.assert_allclose(seen[:, 4:].sum(axis=1), 1.0)
    assert seen.shape == (3, 2 + 2 + 18)
    narrow = _features(
        np.zeros((3, 2)), np.ones(3), Scale(Scale.fit(batch(x[:, :64], ["client:a"] * 3))), x[0], x[:, :64]
    )
    assert narrow.shape == (3, 2 + 2 + 64)


def test_shares_of_values() -> None:
    x = np.array([[0.0, -1.0, 0.1, 0.5, 0.9, 1.0, np.inf, np.nan], [np.nan] * 8], dtype=np.float32)
    shares = np.empty((2, 6))
    value_shares(x, 0.0, 1.0, shares)
    np.testing.assert_array_equal(shares, [[2 / 8, 1 / 8, 0.0, 1 / 8, 1 / 8, 2 / 8], [0.0] * 6])
    value_shares(x[:1], 0.0, 0.0, shares[:1])  # clean rows that all are the same
    assert shares[0].tolist() == [2 / 8, 0.0, 0.0, 0.0, 0.0, 5 / 8]


def test_noise_on_pictures_is_left_to_the_detector_of_noise() -> None:
    detector = Alone(Synthetic(Synthetic.fit(honest(1, PICTURE))))
    assert np.isnan(detector.score(noisy("client:pgd"))).all()
    assert np.nanmedian(detector.score(foreign("client:thief"))) > np.nanmax(detector.score(honest(2, PICTURE)))


def test_rows_without_spread_can_be_fitted() -> None:
    flat = batch(np.ones((300, 4), dtype=np.float32), [f"client:{i % 20}" for i in range(300)])
    assert np.isfinite(Alone(Synthetic(Synthetic.fit(flat))).score(flat)[:20]).all()


def test_trees_add_up_to_the_log_odds_of_scikit_learn() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(3000, 6))
    y = x[:, 0] * x[:, 1] + 0.3 * rng.normal(size=3000) > 0.5
    options = {"max_iter": _TREES, "max_leaf_nodes": _LEAVES, "min_samples_leaf": _LEAST_LEAF, "max_depth": _DEPTH}
    theirs = HistGradientBoostingClassifier(**options, early_stopping=False, random_state=9).fit(x, y)
    fresh = rng.normal(size=(500, 6))
    ours = Trees(Trees.fit(x, y, 9))(fresh)
    np.testing.assert_allclose(ours, theirs.decision_function(fresh), rtol=1e-5, atol=1e-5)
