"""Length: vectors off the one length of clean ones stand out; where there is no one length, none does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from row_traffic import batch, honest

from detectors.alone import Alone
from detectors.batch import EventBatch
from detectors.coverage import Coverage
from detectors.length import Length

D = 16


def unit(rows: int, seed: int, client: str = "", length: float = 3.0) -> EventBatch:
    x = np.random.default_rng(seed).normal(size=(rows, D))
    x *= length / np.linalg.norm(x, axis=1, keepdims=True)
    return batch(np.round(x, 4), [client or f"client:{i % 30}" for i in range(rows)], (D,))


@pytest.fixture(scope="module")
def length() -> Length:
    return Length(Length.fit(unit(1000, 1)))


def test_clean_vectors_are_not_off_and_longer_or_shorter_ones_are(length: Length) -> None:
    assert length.is_fixed
    assert not length.excess(unit(500, 2).x, np.arange(500)).any()
    longer, shorter = unit(500, 2, length=3.0 * 1.01), unit(500, 2, length=3.0 * 0.98)
    assert length.excess(longer.x, np.arange(500)) == pytest.approx((0.01 / 0.0025) ** 2 - 1.0, rel=0.02)
    assert length.excess(shorter.x, np.arange(500)) == pytest.approx((0.02 / 0.0025) ** 2 - 1.0, rel=0.02)
    assert length.off(shorter.x) == pytest.approx(-0.02, rel=0.01)


def test_vectors_of_many_lengths_and_missing_values_are_not_judged(length: Length) -> None:
    free = Length(Length.fit(honest(1)))
    assert not free.is_fixed
    assert not free.excess(honest(2).x * 100.0, np.arange(len(honest(2)))).any()
    missing = unit(10, 3).x.copy()
    missing[:, 0] = np.nan
    assert not length.excess(missing, np.arange(10)).any()
    assert not Length(Length.fit(replace(unit(10, 3), x=missing))).is_fixed


def test_coverage_sees_mixtures_of_unit_vectors() -> None:
    detector = Alone(Coverage(Coverage.fit(unit(1500, 1))))
    one, other = unit(200, 4, "client:thief"), unit(200, 5, "client:thief")
    near = replace(one, x=(0.9 * one.x + 0.1 * other.x).astype(np.float32))
    usual, mixed = detector.score(unit(200, 6, "client:honest")), detector.score(near)
    assert np.nanmin(mixed) > 2.0 * np.nanmax(usual)
    assert detector.explain(near, 199)["off_length"] == pytest.approx(np.linalg.norm(near.x[199]) / 3.0 - 1.0, rel=1e-3)
