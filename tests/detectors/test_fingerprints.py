"""Fingerprints: near rows share a cell, how rows are cut does not show, and radii keep away from clean traffic."""

from __future__ import annotations

import numpy as np
import pytest
from row_traffic import PICTURE, TABLE, honest

from detectors.fingerprints import BANDS, UNITS, Fingerprints
from detectors.meeting import RATES, fit_meeting


@pytest.fixture(scope="module", params=[PICTURE, TABLE], ids=["pictures", "table"])
def prints(request: pytest.FixtureRequest) -> Fingerprints:
    return Fingerprints(Fingerprints.fit(honest(1, request.param)))


def rows_for(prints: Fingerprints, n: int = 400) -> np.ndarray:
    shape = PICTURE if len(prints._signs[0]) == 64 else TABLE
    return honest(2, shape, rows=n).x


def test_near_rows_share_a_cell_and_their_distance_is_kept(prints: Fingerprints) -> None:
    """At a quarter of the largest radius nearly always; far ones hardly ever."""
    x = rows_for(prints)
    rng = np.random.default_rng(3)
    noise = rng.normal(size=x.shape)
    apart = prints.unit * UNITS / 4.0 * np.asarray(prints._scale._scale)
    near = (x + noise / np.sqrt(np.mean(noise**2, axis=1, keepdims=True)) * apart).astype(np.float32)
    one, other = prints.of(x), prints.of(near)
    assert np.mean((one.cells == other.cells).any(axis=1)) > 0.95
    steps = (one.z.astype(np.int64) - other.z + 2**15) % 2**16 - 2**15
    distance = np.sqrt(np.sum(steps**2, axis=1)) * prints.unit
    assert 0.8 < np.median(distance) / (prints.unit * UNITS / 4.0) < 1.2
    assert np.mean((one.cells == np.roll(one.cells, 1, axis=0)).any(axis=1)) < 0.2


def test_pictures_meet_by_their_parts_wherever_these_lie() -> None:
    shape = (28, 28)
    prints = Fingerprints(Fingerprints.fit(honest(1, shape)))
    x = (honest(2, shape, rows=400).x + np.random.default_rng(4).normal(0.0, 0.05, (400, 784))).astype(np.float32)
    shifted = np.roll(x.reshape(-1, 28, 28), 1, axis=2).reshape(400, -1)
    one, other = prints.of(x), prints.of(shifted)
    met = one.cells[:, BANDS] == other.cells[:, BANDS]
    equal = np.count_nonzero(one.parts.view(np.uint8) == other.parts.view(np.uint8), axis=1)
    assert np.mean(met) > 0.4
    assert np.mean(equal >= prints.reach().least_equal) > 0.8
    assert np.mean(one.cells[:, BANDS] == np.roll(one.cells[:, BANDS], 1)) < 0.02
    assert (one.cells[:, BANDS] & 1).all()
    assert not (one.cells[:, :BANDS] & 1).any()


def test_pictures_without_parts_are_alone() -> None:
    shape = (28, 28)
    prints = Fingerprints(Fingerprints.fit(honest(1, shape)))
    flat = np.repeat(np.linspace(0.0, 1.0, 50, dtype=np.float32)[:, None], 784, axis=1)
    assert len(set(prints.of(flat).cells[:, BANDS].tolist())) == 50


def test_tables_have_no_parts() -> None:
    prints = Fingerprints(Fingerprints.fit(honest(1, TABLE)))
    found = prints.of(honest(2, TABLE, rows=50).x)
    assert prints.reach().least_equal == 0
    assert found.cells.shape == (50, BANDS)
    assert found.parts.shape == (50, 0)


def test_cutting_rows_changes_nothing(prints: Fingerprints) -> None:
    x = rows_for(prints)
    whole, parts = prints.of(x), [prints.of(part) for part in np.array_split(x, 7)]
    for column in ("z", "cells", "digests"):
        assert np.array_equal(getattr(whole, column), np.concatenate([getattr(part, column) for part in parts]))


def test_hostile_values_have_a_place_too(prints: Fingerprints) -> None:
    d = len(prints._signs[0])
    odd = np.array([[np.nan] * d, [np.float32(3e38)] * d, [-np.float32(3e38)] * d, [0.0] * d], dtype=np.float32)
    found = prints.of(odd)
    assert len(set(found.cells[:, 0].tolist())) >= 2
    assert found.z.shape == (4, 12)


def test_views_are_stricter_the_rarer_they_are(prints: Fingerprints) -> None:
    for differs in (False, True):
        mine = [view for view in prints.views if view.differs == differs]
        assert [view.rate for view in mine] == sorted((v.rate for v in mine), reverse=True)
        assert [view.radius for view in mine] == sorted((v.radius for v in mine), reverse=True)
    assert prints.reach().units <= prints.reach().units_differing == UNITS


def clean(seed: int = 0, n: int = 900, clients: int = 30) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 12)) * np.array([1.0] * 4 + [0.05] * 8)
    return z, np.arange(n), np.arange(n) % clients, (z[:, 0] > 0).astype(np.int64)


def test_fewer_clean_pairs_lie_within_a_radius_than_its_rate_says() -> None:
    """Counted on other traffic of the same kind, a hundred times as many pairs."""
    every, differing = fit_meeting(*clean())
    z, _, client, labels = clean(1, 6000, 60)
    within = np.zeros((2, len(RATES)))
    pairs = 0
    for i in range(len(z) - 1):
        other = client[i + 1 :] != client[i]
        distance = np.sqrt(np.sum((z[i + 1 :] - z[i]) ** 2, axis=1))[other]
        apart = (labels[i + 1 :] != labels[i])[other]
        pairs += len(distance)
        within[0] += [np.count_nonzero(distance < r) for r in every]
        within[1] += [np.count_nonzero(distance[apart] < r) for r in differing]
    assert np.all(within <= np.array(RATES) * pairs + 3.0)
    assert np.all(differing >= every)


def test_what_one_client_does_another_may_do_worse() -> None:
    """One clean client close to another's row: the radius shrinks well below that, not just to it."""
    z, digests, client, labels = clean()
    before = fit_meeting(z, digests, client, labels)[0]
    z[1] = z[0] + 0.001
    after = fit_meeting(z, digests, client, labels)[0]
    assert after.max() < 0.001 * np.sqrt(12) / 2.0 < before.max()


def test_copies_and_lonely_clients_say_nothing() -> None:
    z = np.zeros((40, 12))
    same = fit_meeting(z, np.ones(40, np.int64), np.arange(40), np.zeros(40, np.int64))
    alone = fit_meeting(clean(n=40)[0], np.arange(40), np.zeros(40, np.int64), np.zeros(40, np.int64))
    assert np.all(np.stack(same) > 0)
    assert np.all(np.stack(alone) > 0)
