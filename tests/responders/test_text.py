"""Text made visible: nothing hidden, nothing too long, nothing lost that fits."""

from __future__ import annotations

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notices import hostile_text

from responders.text import bounded, defanged, utc, visible


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@given(hostile_text, st.integers(1, 300), st.booleans())
def test_visible_text_is_bounded_and_hides_nothing(text: str, limit: int, lines: bool) -> None:
    shown = visible(text, limit, lines=lines)
    assert 1 <= units(shown) <= limit
    hidden = {c for c in shown if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}}
    assert hidden <= ({"\n"} if lines else set())


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=100))
def test_harmless_text_is_shown_as_it_is(text: str) -> None:
    assert visible(text, units(text)) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u202eb", r"a\u202eb"),
        ("a\r\nb", r"a\u000d\u000ab"),
        ("\U000e0041", r"\U000e0041"),
        ("\ud800", r"\ud800"),
        ("", "-"),
        (" \t ".replace("\t", " "), "-"),
        ("x" * 11, "x" * 9 + "…"),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert visible(text, 10 if text.startswith("x") else 20) == shown


def test_a_cut_never_falls_within_an_escape_or_a_surrogate_pair() -> None:
    assert visible("ab\x00cd", 5) == "ab…"
    assert visible("😀😀😀", 5) == "😀😀…"


def test_line_feeds_stay_where_asked_for_but_carriage_returns_never() -> None:
    assert visible("a\nb\rc", 50, lines=True) == "a\nb\\u000dc"


@pytest.mark.parametrize("ts", [math.nan, math.inf, -math.inf, 1e30])
def test_what_is_no_time_is_said_to_be_none(ts: float) -> None:
    assert utc(ts) == "unknown time"


def test_time_is_utc() -> None:
    assert utc(1_763_683_200.25) == "2025-11-21 00:00:00 UTC"


def test_addresses_are_defanged() -> None:
    assert defanged("https://evil.example www.evil.example") == "https[:]//evil.example www[.]evil.example"


def test_bounded_says_how_many_are_left_out() -> None:
    assert bounded(["a", "b", "c"], 3) == ["a", "b", "c"]
    assert bounded(["a", "b", "c"], 1) == ["a", "(2 more)"]
