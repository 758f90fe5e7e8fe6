"""CoverageGrowth: entries into places that few clean rows are in add up, wherever in them a query lies."""

from __future__ import annotations

import numpy as np
import pytest
from row_traffic import batch

from detectors.alone import Alone
from detectors.batch import EventBatch
from detectors.contract import Params
from detectors.coverage_growth import COARSE, CoverageGrowth

D = 12
CORNERS = 4.0 * np.random.default_rng(7).choice([-1.0, 1.0], (5, D))


def honest(rows: int, seed: int, client: str = "") -> EventBatch:
    """Inputs round five corners of a cube, of 30 clients or of one."""
    rng = np.random.default_rng(seed)
    x = CORNERS[rng.integers(len(CORNERS), size=rows)] + rng.normal(0.0, 2.0, (rows, D))
    return batch(x, [client or f"client:{i % 30}" for i in range(rows)], (D,))


def spread_out(rows: int) -> EventBatch:
    """Inputs round all corners."""
    rng = np.random.default_rng(3)
    x = 4.0 * rng.choice([-1.0, 1.0], (rows, D)) + rng.normal(0.0, 2.0, (rows, D))
    return batch(x, ["client:thief"] * rows, (D,))


@pytest.fixture(scope="module")
def params() -> Params:
    return CoverageGrowth.fit(honest(3000, 1))


def test_bits_are_those_of_the_shares_of_clean_rows(params: Params) -> None:
    clean = honest(3000, 1)
    rows = np.bincount(CoverageGrowth(params).locate(clean.x)["place"] % COARSE, minlength=COARSE)
    np.testing.assert_allclose(params["place_bits"], -np.log2((rows + 0.5) / 3000 * COARSE), rtol=1e-5)


def test_the_score_is_the_mean_over_sixteen_entries(params: Params) -> None:
    rows = honest(200, 2, "client:a")
    detector = Alone(CoverageGrowth(params))
    scores = detector.score(rows)
    kind = CoverageGrowth(params)
    new = kind.entering(Alone(kind).rows(rows))
    assert np.flatnonzero(~np.isnan(scores)).tolist() == new[15::16].tolist()
    places = kind.locate(rows.x[new[:16]])["place"] % COARSE
    assert scores[new[15]] == pytest.approx(params["place_bits"][places].mean(), rel=1e-5)


def test_who_goes_where_nobody_goes_stands_out(params: Params) -> None:
    usual = Alone(CoverageGrowth(params)).score(honest(400, 2, "client:a"))
    scores = Alone(CoverageGrowth(params)).score(spread_out(400))
    assert np.nanmean(scores) > np.nanmean(usual) + 0.5


def test_a_finding_says_how_many_places_are_rare(params: Params) -> None:
    rows = spread_out(200)
    scores = Alone(CoverageGrowth(params)).score(rows)
    end = int(np.flatnonzero(~np.isnan(scores))[0])
    figures = Alone(CoverageGrowth(params)).explain(rows, end)
    assert figures["mean_bits"] == pytest.approx(scores[end], rel=1e-4)
    kind = CoverageGrowth(params)
    last = kind.entering(Alone(kind).rows(rows.take(np.arange(end + 1))))[-16:]
    bits = params["place_bits"][kind.locate(rows.x[last])["place"] % COARSE]
    assert (figures["rare_places"], figures["places"]) == (np.count_nonzero(bits > 1.0), 16)
    assert Alone(CoverageGrowth(params)).explain(rows, end - 1) == {}
