from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import monitor.codec
from monitor.codec import Limits, decode_record, encode_compact, encode_json
from monitor.event import Event, Reason, Rejection
from tests.monitor.event_strategies import assert_same, events
from tests.monitor.hostile_parts import compact_record, event_json, request_bytes

LIMITS = Limits()


@given(events(), st.sampled_from([b"", b" ", b"\r\n\t "]))
def test_json_is_known_by_its_first_byte(event: Event, space: bytes) -> None:
    decoded = decode_record(space + encode_json(event) + space, LIMITS)
    assert decoded.rejections == []
    assert_same(decoded.events[0], event)


@given(st.lists(events(), min_size=1, max_size=3))
def test_compact_is_known_by_its_first_bytes(originals: list[Event]) -> None:
    decoded = decode_record(encode_compact(originals), LIMITS)
    assert decoded.rejections == []
    for event, original in zip(decoded.events, originals, strict=True):
        assert_same(event, original)


def test_tombstone_is_empty() -> None:
    [(rejection, raw)] = decode_record(None, LIMITS).rejections
    assert (rejection.reason, raw) == (Reason.EMPTY, b"")


def test_good_and_bad_requests_of_one_record() -> None:
    bad = request_bytes(ts=-1.0)
    decoded = decode_record(compact_record([request_bytes(id="a"), bad, request_bytes(id="b")]), LIMITS)
    assert [e.id for e in decoded.events] == ["a", "b"]
    [(rejection, raw)] = decoded.rejections
    assert rejection.reason is Reason.BAD_TIME
    assert raw == compact_record([bad])


def test_clock_is_used_by_both_forms() -> None:
    limits = Limits(max_future_s=10.0)
    for raw in (event_json(), compact_record([request_bytes()])):
        assert decode_record(raw, limits, now=1763683200.0).rejections == []
        [(rejection, _)] = decode_record(raw, limits, now=1763683190.0).rejections
        assert rejection.reason is Reason.BAD_TIME


@given(st.binary(max_size=200))
def test_never_raises(raw: bytes) -> None:
    decoded = decode_record(raw, LIMITS)
    assert decoded.events == []
    assert decoded.rejections


def test_fault_of_the_codec_is_a_dead_letter_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: object) -> Event:
        raise ZeroDivisionError("by \x1b zero")

    monkeypatch.setattr(monitor.codec, "decode_json", faulty)
    [(rejection, raw)] = decode_record(event_json(), LIMITS).rejections
    assert rejection.reason is Reason.MALFORMED
    assert "ZeroDivisionError" in rejection.detail
    assert raw == event_json()


def test_want_of_memory_is_not_the_records_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def starved(*_: object) -> Event:
        raise MemoryError

    monkeypatch.setattr(monitor.codec, "decode_json", starved)
    with pytest.raises(MemoryError):
        decode_record(event_json(), LIMITS)


@given(st.text(max_size=600))
def test_rejection_detail_is_printable_ascii_and_short(text: str) -> None:
    rejection = Rejection(Reason.MALFORMED, text)
    assert rejection.detail.isascii()
    assert rejection.detail.isprintable()
    assert len(rejection.detail) <= 200
    assert str(rejection) == f"malformed: {rejection.detail}"
    if text.isascii() and text.isprintable() and len(text) <= 200 and "\\" not in text:
        assert rejection.detail == text
