"""Hypothesis strategies for valid events of every kind, and what makes two events the same."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from monitor.codec.limits import MAX_MODEL_CHARS, MAX_TS
from monitor.event import Event, label_hash

_CONTROLS = ("Cc", "Cs", "Zl", "Zp")


def names(max_chars: int = 256, min_chars: int = 1) -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=_CONTROLS), min_size=min_chars, max_size=min(max_chars, 12))


def _float32(shape: tuple[int, ...], allow_nan: bool = False) -> st.SearchStrategy[np.ndarray]:
    elements = st.floats(width=32, allow_nan=False, allow_infinity=False)
    # One NaN of many: a missing value has no payload to keep.
    return st_np.arrays(np.float32, shape, elements=elements | st.just(float("nan")) if allow_nan else elements)


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Any event that a codec can give."""
    rows = draw(st.integers(1, 4))
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    named = draw(st.none() | st.lists(names(), min_size=rows, max_size=rows))
    plain = draw(st.none() | st.lists(st.integers(-(2**63), 2**63 - 1), min_size=rows, max_size=rows))
    labels = [label_hash(name) for name in named] if named else plain
    k = draw(st.integers(1, 5))
    tag_values = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
    return Event(
        id=draw(names()),
        ts=draw(st.floats(0, MAX_TS, exclude_min=True, exclude_max=True)),
        model=draw(names(MAX_MODEL_CHARS)),
        x=draw(_float32((rows, int(np.prod(shape))), allow_nan=True)),
        shape=tuple(shape),
        version=draw(names(MAX_MODEL_CHARS, min_chars=0)),
        client_id=draw(names(min_chars=0)),
        client_ip=draw(st.just("") | st.ip_addresses(v=4).map(str)),
        scores=draw(st.none() | _float32((rows, k))),
        labels=None if labels is None else np.array(labels, dtype=np.int64),
        label_names=tuple(named) if named else None,
        values=draw(st.none() | _float32((rows,))),
        embedding=draw(st.none() | _float32((rows, k))),
        tags=draw(st.dictionaries(names(128), tag_values, max_size=3)),
    )


def assert_same(one: Event, other: Event) -> None:
    """Equal in every field, arrays to the bit except that every NaN is the same missing value."""
    for field in Event.__struct_fields__:
        a, b = getattr(one, field), getattr(other, field)
        if isinstance(a, np.ndarray):
            assert isinstance(b, np.ndarray), field
            assert (a.dtype, a.shape) == (b.dtype, b.shape), field
            np.testing.assert_array_equal(a, b, err_msg=field)
            np.testing.assert_array_equal(np.signbit(a[~np.isnan(a)]), np.signbit(b[~np.isnan(b)]), err_msg=field)
        else:
            assert a == b, field
