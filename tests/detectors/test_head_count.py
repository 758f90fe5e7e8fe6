"""Counting accounts by samples: exact for few, near for many, the same however they are split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.head_count import NOBODY, SAMPLE, added, count, hashed, heads, joined

NAMES = st.sets(st.text(max_size=8), max_size=40)


@given(NAMES, NAMES)
def test_few_are_counted_exactly_and_once(one: set[str], other: set[str]) -> None:
    assert count(joined([heads(one, "s"), heads(other, "s")])) == len(one | other)


@pytest.mark.parametrize("accounts", [300, 5000, 200_000])
def test_many_are_estimated(accounts: int) -> None:
    assert count(heads([f"client:{i}" for i in range(accounts)], "s")) == pytest.approx(accounts, rel=0.25)


@given(st.lists(st.integers(0, 2000), max_size=1200), st.integers(1, 5))
def test_any_split_gives_the_same_sample(accounts: list[int], parts: int) -> None:
    whole = heads({f"c{a}" for a in accounts}, "s")
    split = joined([NOBODY, *(heads({f"c{a}" for a in accounts[p::parts]}, "s") for p in range(parts))])
    assert np.array_equal(whole, split)
    assert len(whole) == min(len(set(accounts)), SAMPLE)


@given(st.lists(st.lists(st.integers(0, 3000), max_size=900), max_size=4))
def test_accounts_that_come_again_and_again_change_nothing(batches: list[list[int]]) -> None:
    sample = NOBODY
    for accounts in batches:
        sample = added(sample, hashed([f"c{a}" for a in accounts], "s"))
    assert np.array_equal(sample, heads({f"c{a}" for accounts in batches for a in accounts}, "s"))


def test_which_names_look_many_depends_on_the_salt() -> None:
    lowest = sorted((int(heads([name], "s")[0]), name) for name in map(str, range(5000)))[:SAMPLE]
    chosen = [name for _, name in lowest]
    assert count(heads(chosen, "s")) > 10 * SAMPLE
    assert count(heads(chosen, "another")) < 2 * SAMPLE
