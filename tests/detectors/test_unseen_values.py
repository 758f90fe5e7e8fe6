"""Unseen values: arithmetic on features that have few values shows, once for each value."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from row_traffic import PICTURE, batch, honest

from detectors.alone import Alone
from detectors.batch import EventBatch, FloatArray
from detectors.contract import Params
from detectors.unseen_values import RING, UnseenValues

SHAPE = (5,)


def forms(seed: int, rows: int = 1200, clients: int = 24) -> EventBatch:
    """An amount, a rate of four, a box, a count, and a box that may be left empty."""
    rng = np.random.default_rng(seed)
    x = np.stack(
        [
            rng.normal(0.0, 1.0, rows),
            rng.choice([0.0, 0.25, 0.5, 0.95], rows),
            rng.integers(0, 2, rows),
            rng.poisson(2.0, rows),
            rng.choice([0.0, 1.0, np.nan], rows),
        ],
        axis=1,
    )
    return batch(x, [f"client:{seed}-{c}" for c in rng.integers(0, clients, rows)], SHAPE)


@cache
def params() -> Params:
    return UnseenValues.fit(forms(1))


def scored(x: list[list[float]]) -> FloatArray:
    return Alone(UnseenValues(params())).score(batch(np.array(x), ["client:a"] * len(x), SHAPE))


def test_features_that_keep_to_few_values_have_lists() -> None:
    assert params()["feature"].tolist() == [1, 2, 3, 4]


def test_a_value_in_between_counts_by_how_rare_unseen_ones_are() -> None:
    usual = [0.3, 0.25, 1.0, 2.0, np.nan]
    scores = scored([usual, [0.3, 0.25, 0.5, 2.0, 0.0], [0.3, 0.26, 0.4, 2.0, 0.0]])
    bits = params()["bits"]
    np.testing.assert_allclose(scores, [0.0, bits[1], bits[0] + bits[1]], rtol=1e-5)
    assert (bits > 5.6).all()


def test_a_value_counts_once_a_client() -> None:
    row = [0.3, 0.26, 1.0, 2.0, 0.0]
    scores = scored([row, row, [0.9, *row[1:]], [0.3, 0.27, 1.0, 2.0, 0.0], row])
    assert (scores > 0).tolist() == [True, False, False, True, False]


def test_a_missing_value_is_a_value() -> None:
    assert scored([[0.3, np.nan, 1.0, 2.0, 0.0]])[0] > 0.0
    assert scored([[np.nan, 0.25, 1.0, 2.0, np.nan]])[0] == 0.0
    assert scored([[0.3, -0.0, -0.0, 2.0, -0.0]])[0] == 0.0


def test_other_honest_clients_hardly_score() -> None:
    assert np.mean(Alone(UnseenValues(params())).score(forms(2)) > 0) < 0.02


def test_pictures_and_measurements_have_no_lists() -> None:
    for clean in (honest(1, shape=PICTURE), honest(1, shape=(6,))):
        kind = UnseenValues(UnseenValues.fit(clean))
        assert np.isnan(Alone(kind).score(clean)).all()


def test_rounded_measurements_have_no_lists_however_many_share_their_values() -> None:
    """Two hundred steps, and each known from several clients; but one in between is as good as its neighbours."""
    rows = forms(1, rows=2400)
    x = rows.x.copy()
    x[:, 0] = np.round(np.random.default_rng(3).normal(0.0, 0.3, len(x)), 2)
    lists = UnseenValues.fit(replace(rows, x=x))["feature"]
    assert 0 not in lists
    assert lists.tolist() == [j for j in UnseenValues.fit(rows)["feature"].tolist() if j]


def test_state_is_bounded() -> None:
    detector = Alone(UnseenValues(params()))
    rng = np.random.default_rng(3)
    detector.learn(batch(rng.random((3000, 5)), ["client:busy"] * 3000, SHAPE))
    assert len(detector.history("client:busy")) == RING


def test_a_finding_names_features_and_values() -> None:
    rows = batch(np.array([[0.3, 0.25, 0.5, 2.0, 7.0]]), ["client:a"], SHAPE)
    figures = Alone(UnseenValues(params())).explain(rows, 0)
    assert figures == {"features": [2, 4], "values": [0.5, 7.0], "features_with_lists": 4}
