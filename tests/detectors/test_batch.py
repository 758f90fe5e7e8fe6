"""Batches: rows picked and joined, and figures rounded to the same float everywhere."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from row_traffic import honest

from detectors.batch import concat, round_sig


@given(st.floats(1e-12, 1e15), st.booleans())
def test_rounding_gives_the_float_nearest_to_the_decimal(value: float, negative: bool) -> None:
    value = -value if negative else value
    got = float(round_sig(np.array([value]))[0])
    assert got == float(f"{got:.6g}")
    assert math.isclose(got, value, rel_tol=5.0001e-6)


@given(st.floats(1e-9, 1e9), st.floats(-1e-13, 1e-13))
def test_the_last_bits_do_not_show(value: float, noise: float) -> None:
    """Unless the value lies on the border between two decimals, which is where any rounding must decide."""
    scaled = value / 10.0 ** (math.floor(math.log10(value)) - 5)
    if abs(scaled - math.floor(scaled) - 0.5) > 1e-6:
        one, other = round_sig(np.array([value, value * (1.0 + noise)]))
        assert one == other


def test_what_is_no_number_stays_so() -> None:
    out = round_sig(np.array([np.nan, np.inf, -np.inf, 0.0, 1e-300, 1e300]))
    np.testing.assert_array_equal(out, [np.nan, np.inf, -np.inf, 0.0, 1e-300, 1e300])


def test_taking_and_joining_rows_is_undone_by_taking_them_apart() -> None:
    rows = honest(1, rows=40, clients=5)
    even, odd = np.arange(0, 40, 2), np.arange(1, 40, 2)
    both = concat([rows.take(even), rows.take(odd)])
    back = both.take(np.argsort(np.concatenate([even, odd])))
    assert back.ids == rows.ids
    assert back.clients == rows.clients
    np.testing.assert_array_equal(back.x, rows.x)
    np.testing.assert_array_equal(back.ts, rows.ts)
    mask = np.zeros(40, dtype=bool)
    mask[odd] = True
    assert rows.take(mask).ids == rows.take(odd).ids


def test_all_rows_in_their_order_are_the_batch_itself() -> None:
    rows = honest(1, rows=6, clients=2)
    assert rows.take(np.arange(6)) is rows
    assert rows.take(np.ones(6, dtype=bool)) is rows
    turned = rows.take(np.arange(5, -1, -1))
    assert turned.ids == rows.ids[::-1]
    assert rows.take(np.array([0, 1, 2, 3, 4, 4])).ids == (*rows.ids[:5], rows.ids[4])
    assert len(rows.take(np.zeros(6, dtype=bool))) == 0


def test_batches_of_different_models_are_not_joined() -> None:
    rows = honest(1, rows=4, clients=2)
    with pytest.raises(ValueError, match="cannot join"):
        concat([rows, replace(rows, model="other")])
