from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.codec.limits import MAX_TS, Limits
from monitor.codec.tick import decode_tick, encode_tick
from monitor.event import Reason, Rejection

_HEADERS = [("vedette-kind", b"tick")]


@given(st.floats(0, MAX_TS, exclude_min=True, exclude_max=True))
def test_round_trip(ts: float) -> None:
    assert decode_tick(*encode_tick(ts)) == ts


def test_documented_bytes() -> None:
    assert encode_tick(1763683200.5) == (b'{"tick":1763683200.5}', _HEADERS)


@pytest.mark.parametrize(
    "headers",
    [
        None,
        [],
        [("vedette-kind", b"event")],
        [("kind", b"tick")],
        [("vedette-kind", b"TICK")],
        [("vedette-kind", None)],
    ],
)
def test_only_the_header_makes_a_tick(headers: list[tuple[str, bytes]] | None) -> None:
    assert decode_tick(b'{"tick":1}', headers) is None


def test_header_may_come_among_others_and_twice() -> None:
    assert decode_tick(b'{"tick":1}', [("a", b"\xff"), *_HEADERS, *_HEADERS]) == 1.0


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.EMPTY),
        (b"", Reason.EMPTY),
        (b"{}", Reason.WRONG_TYPE),
        (b"1763683200", Reason.WRONG_TYPE),
        (b'{"tick":"1763683200"}', Reason.WRONG_TYPE),
        (b'{"tick":true}', Reason.WRONG_TYPE),
        (b'{"tick":null}', Reason.WRONG_TYPE),
        (b'{"tick":NaN}', Reason.MALFORMED),
        (b'{"tick":1}x', Reason.MALFORMED),
        (b"\xff", Reason.MALFORMED),
        (b'{"tick":1e400}', Reason.OUT_OF_RANGE),
        (b'{"tick":0}', Reason.BAD_TIME),
        (b'{"tick":-1}', Reason.BAD_TIME),
        (b'{"tick":4102444800}', Reason.BAD_TIME),
        (b'{"tick":1' + b" " * 300 + b"}", Reason.TOO_LARGE),
        (b'{"x":' + b"[" * 10_000, Reason.TOO_LARGE),
    ],
)
def test_bad_tick_is_rejected(value: bytes | None, reason: Reason) -> None:
    with pytest.raises(Rejection) as caught:
        decode_tick(value, _HEADERS)
    assert caught.value.reason is reason


def test_tick_from_the_future_is_rejected() -> None:
    value, headers = encode_tick(1000.0)
    limits = Limits(max_future_s=300.0)
    assert decode_tick(value, headers, limits, now=700.0) == 1000.0
    with pytest.raises(Rejection) as caught:
        decode_tick(value, headers, limits, now=699.0)
    assert caught.value.reason is Reason.BAD_TIME
