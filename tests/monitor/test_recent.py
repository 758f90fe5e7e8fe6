"""Remembered for a span, forgotten after two, and never too many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.recent import Recent

_SPAN_S = 10.0


def test_what_keeps_coming_is_new_once() -> None:
    recent = Recent[str](_SPAN_S, limit=100)
    assert recent.unseen(["a", "a", "b"], 0.0) == {"a", "b"}
    for second in range(1, 100):
        assert recent.unseen(["a"], float(second)) == set()


def test_after_a_pause_of_two_spans_it_is_new_again() -> None:
    recent = Recent[str](_SPAN_S, limit=100)
    recent.unseen(["a"], 0.0)
    assert recent.unseen(["a"], 3 * _SPAN_S) == {"a"}


def test_it_stays_bounded_at_one_moment() -> None:
    recent = Recent[int](_SPAN_S, limit=100)
    for first in range(0, 10_000, 10):
        recent.unseen(range(first, first + 10), 0.0)
        assert len(recent) <= 220


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0.0, 100.0)), max_size=40))
def test_it_is_known_for_a_span_and_unknown_after_two(calls: list[tuple[int, float]]) -> None:
    recent = Recent[int](_SPAN_S, limit=1000)
    last: dict[int, float] = {}
    for thing, ts in sorted(calls, key=lambda call: call[1]):
        new = recent.unseen([thing], ts) == {thing}
        away_s = ts - last.get(thing, float("-inf"))
        assert new or away_s < 2 * _SPAN_S
        assert not new or away_s >= _SPAN_S
        last[thing] = ts
