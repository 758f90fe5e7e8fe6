"""Parts of pictures: what a shift or a constant leaves is known again, what changes is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.digest import digest_key
from detectors.parts import Parts, fit_least_equal

SHAPE = (28, 28)


def parts(shape: tuple[int, ...] = SHAPE, seed: int = 1) -> Parts:
    return Parts(shape, 0.3, digest_key(seed, int(np.prod(shape))))


def photographs(n: int, seed: int = 2, shape: tuple[int, ...] = SHAPE) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((n, int(np.prod(shape)))).astype(np.float32)


def equal(x: NDArray[np.float32], y: NDArray[np.float32], found: Parts | None = None) -> float:
    found = found or parts()
    one, other = found.hashes(x.reshape(len(x), -1)), found.hashes(y.reshape(len(y), -1))
    return float(np.mean(np.count_nonzero((one == other) & (one != 0), axis=1)))


def test_different_pictures_share_hardly_any() -> None:
    x = photographs(400)
    assert equal(x, np.roll(x, 1, axis=0)) < 0.3


@pytest.mark.parametrize("offset", [(1, 0), (0, -2), (3, 3)])
def test_as_many_agree_as_the_pictures_have_in_common(offset: tuple[int, int]) -> None:
    """A shift by two pixels costs about a tenth of the runs, and what replaces them."""
    x = photographs(200).reshape(-1, *SHAPE)
    shifted = np.roll(x, offset, axis=(1, 2))
    assert equal(x, shifted) > 16 * 0.6


def test_a_constant_changes_nothing() -> None:
    x = photographs(100)
    assert equal(x, x + np.float32(0.25)) > 15.5


def test_stripes_leave_one_direction() -> None:
    x = photographs(100).reshape(-1, *SHAPE)
    signs = np.random.default_rng(3).choice([-0.1, 0.1], (100, 1, 28)).astype(np.float32)
    for striped in (x + signs, x + np.swapaxes(signs, 1, 2)):
        assert 7.5 < equal(x, striped) < 9.0


def test_rounding_is_no_change() -> None:
    x = photographs(100)
    assert equal(x, x.astype(np.float16).astype(np.float32)) < 16.0  # a thousandth is one
    assert equal(x, np.nextafter(x, np.float32(2.0))) > 15.5


@pytest.mark.parametrize("shape", [(4, 4), (5, 30), (3, 9, 9), (9, 9, 3)])
def test_any_picture_has_some(shape: tuple[int, ...]) -> None:
    x = photographs(50, shape=shape)
    found = parts(shape)
    assert equal(x, x, found) > 5.0
    assert np.array_equal(found.hashes(x[:20]), found.hashes(x)[:20])


@given(st.floats(width=32, allow_nan=True, allow_infinity=True), st.integers(0, 783))
def test_hostile_values_take_away_the_runs_they_are_in_and_no_others(value: float, place: int) -> None:
    x = photographs(1)
    odd = x.copy()
    odd[0, place] = value
    assert equal(x, odd) >= 8.0


def test_flat_pictures_have_none() -> None:
    assert not parts().hashes(np.full((2, 784), 0.5, np.float32)).any()


def test_it_takes_four_more_than_clean_pictures_of_two_clients_have_in_common() -> None:
    hashes = np.random.default_rng(4).integers(1, 256, (40, 16)).astype(np.uint8)
    digests, client = np.arange(40), np.arange(40) % 8
    assert fit_least_equal(hashes, digests, client) == 8
    hashes[9, :6] = hashes[0, :6]
    assert fit_least_equal(hashes, digests, client) == 10
    hashes[24] = hashes[16]  # of one client
    hashes[1], digests[1] = hashes[0], digests[0]  # a copy
    assert fit_least_equal(hashes, digests, client) == 10
    hashes[10, :14] = hashes[0, :14]
    assert fit_least_equal(hashes, digests, client) == 18  # more than there are: never


def test_what_no_picture_has_is_not_in_common() -> None:
    hashes = np.zeros((4, 16), dtype=np.uint8)
    assert fit_least_equal(hashes, np.arange(4), np.arange(4)) == 8
