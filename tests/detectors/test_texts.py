"""Columns of texts as bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.kernels.texts import MODULUS, identify
from detectors.texts import TextPool, Texts, joined

POINTS = st.sampled_from([1, 2, MODULUS - 1]) | st.integers(1, MODULUS - 1)
TEXTS = st.lists(st.text(max_size=9), max_size=20)


def listed(texts: Texts) -> list[str]:
    return [texts[i] for i in range(len(texts))]


@given(TEXTS, st.data())
def test_as_a_list_of_texts(texts: list[str], data: st.DataObject) -> None:
    column = Texts.of(texts)
    assert listed(column) == texts
    assert listed(Texts.unpack(column.packed())) == texts
    rows = data.draw(st.lists(st.integers(0, len(texts) - 1))) if texts else []
    assert listed(column.take(np.array(rows, dtype=np.int64))) == [texts[i] for i in rows]
    mask = data.draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts)))
    assert listed(column.take(np.array(mask, dtype=np.bool_))) == [t for t, m in zip(texts, mask, strict=True) if m]
    assert listed(joined([column, column.take(np.array(rows, dtype=np.int64))])) == texts + [texts[i] for i in rows]


@given(st.lists(st.text(alphabet="ab\0", max_size=7), max_size=40))
def test_the_same_text_has_the_same_identity_and_no_other_has(texts: list[str]) -> None:
    found = Texts.of(texts).identities().tolist()
    assert len(set(found)) == len(set(texts))
    assert [found[texts.index(text)] for text in texts] == found


@given(st.binary(max_size=40), st.tuples(POINTS, POINTS))
def test_an_identity_is_two_polynomials_behind_one_another(text: bytes, points: tuple[int, int]) -> None:
    out = np.empty(1, dtype=np.int64)
    identify(np.frombuffer(text, np.uint8), np.array([len(text)]), np.array(points), out)
    values = []
    for point in points:
        value = len(text) + 1
        for at in range(0, len(text), 3):
            value = (value * point + int.from_bytes(text[at : at + 3], "little")) % MODULUS
        values.append(value)
    assert int(out[0]) == values[0] << 31 | values[1]


@given(st.lists(TEXTS, max_size=6), st.data())
def test_a_pool_grows_and_lets_go(parts: list[list[str]], data: st.DataObject) -> None:
    pool, expected = TextPool(), []
    for part in parts:
        pool.append(Texts.of(part))
        expected += part
        assert [pool[i] for i in range(len(expected))] == expected
        kept = data.draw(st.lists(st.integers(0, len(expected) - 1), unique=True)) if expected else []
        pool.keep(np.array(kept, dtype=np.int64))
        expected = [expected[i] for i in kept]


def test_what_does_not_fit_together_is_refused() -> None:
    for packed in ((b"ab", b"\1\0\0\0"), (b"a", b"\1\0"), (b"\xc3\xa4", b"\1\0\0\0" * 2), (b"\xff", b"\1\0\0\0")):
        with pytest.raises(ValueError):  # noqa: PT011 - NumPy's and Python's own messages among them
            Texts.unpack(packed)
