"""Remembered for a span, forgotten after two, and never too many."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.recent import Recent

_SPAN_S = 10.0


def unseen(recent: Recent, keys: list[int], ts: float) -> set[int]:
    found = recent.unseen(np.array(keys, dtype=np.uint64), ts)
    new = [key for key, is_new in zip(keys, found.tolist(), strict=True) if is_new]
    assert len(set(new)) == len(new)
    return set(new)


def test_what_keeps_coming_is_new_once() -> None:
    recent = Recent(_SPAN_S, limit=100)
    assert unseen(recent, [1, 1, 2], 0.0) == {1, 2}
    for second in range(1, 100):
        assert unseen(recent, [1], float(second)) == set()


def test_after_a_pause_of_two_spans_it_is_new_again() -> None:
    recent = Recent(_SPAN_S, limit=100)
    unseen(recent, [1], 0.0)
    assert unseen(recent, [1], 3 * _SPAN_S) == {1}


def test_it_stays_bounded_at_one_moment() -> None:
    recent = Recent(_SPAN_S, limit=100)
    for first in range(0, 10_000, 10):
        assert unseen(recent, list(range(first, first + 10)), 0.0) == set(range(first, first + 10))
        assert len(recent) <= 220


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0.0, 100.0)), max_size=40))
def test_it_is_known_for_a_span_and_unknown_after_two(calls: list[tuple[int, float]]) -> None:
    recent = Recent(_SPAN_S, limit=1000)
    last: dict[int, float] = {}
    for key, ts in sorted(calls, key=lambda call: call[1]):
        new = unseen(recent, [key], ts) == {key}
        away_s = ts - last.get(key, float("-inf"))
        assert new or away_s < 2 * _SPAN_S
        assert not new or away_s >= _SPAN_S
        last[key] = ts
