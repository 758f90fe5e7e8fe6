from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.codec.dead_letter import DeadLetter, decode_dead_letter, encode_dead_letter
from monitor.event import Reason, Rejection

_offsets = st.integers(0, 2**63 - 1)


@given(
    raw=st.none() | st.binary(max_size=50),
    rejection=st.builds(Rejection, st.sampled_from(Reason), st.text(max_size=300)),
    place=st.tuples(st.text("abcXYZ019._-", min_size=1), st.integers(0, 2**31 - 1), _offsets),
    key=st.none() | st.binary(max_size=20),
    time_ms=st.none() | _offsets,
)
def test_round_trip(
    raw: bytes | None, rejection: Rejection, place: tuple[str, int, int], key: bytes | None, time_ms: int | None
) -> None:
    value, headers = encode_dead_letter(raw, rejection, *place, key, time_ms)

    assert value == (raw or b"")
    assert all(name.isascii() and content.decode("ascii").isprintable() for name, content in headers)
    assert decode_dead_letter(value, headers) == DeadLetter(
        raw or b"", rejection.reason, rejection.detail, *place, key=key, time_ms=time_ms
    )


def test_documented_headers() -> None:
    value, headers = encode_dead_letter(
        b"\x00junk", Rejection(Reason.EMPTY, "why"), "events", 3, 42, b"acct 7\n", 1763683200250
    )
    assert value == b"\x00junk"
    assert dict(headers) == {
        "vedette-reason": b"empty",
        "vedette-detail": b"why",
        "vedette-topic": b"events",
        "vedette-partition": b"3",
        "vedette-offset": b"42",
        "vedette-time": b"1763683200250",
        "vedette-key": b"acct%207%0A",
    }


def _headers(**changed: bytes | None) -> list[tuple[str, bytes]]:
    _, headers = encode_dead_letter(b"", Rejection(Reason.EMPTY, "why"), "events", 3, 42, None)
    found = dict(headers) | {f"vedette-{name}": content for name, content in changed.items()}
    return [(name, content) for name, content in found.items() if content is not None]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("other", b"x")],
        _headers(reason=None),
        _headers(offset=None),
        _headers(reason=b"no such reason"),
        _headers(partition=b"three"),
        _headers(detail=b"\xff"),
        _headers(time=b""),
    ],
)
def test_other_records_are_told_apart(headers: list[tuple[str, bytes]]) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_dead_letter(b"", headers)


def test_other_headers_do_not_disturb() -> None:
    assert decode_dead_letter(None, [*_headers(), ("traceparent", b"\xff")]).offset == 42
