from __future__ import annotations

import json
import struct

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.codec.compact import Rejected, decode_compact, encode_compact
from monitor.codec.json_event import decode_json, encode_json
from monitor.codec.limits import Limits
from monitor.event import Event, Reason
from tests.monitor.event_strategies import assert_same, events
from tests.monitor.hostile_parts import compact_record, event_json, request_bytes

LIMITS = Limits()


@given(st.lists(events(), min_size=1, max_size=4))
def test_round_trip(originals: list[Event]) -> None:
    decoded = decode_compact(encode_compact(originals), LIMITS, None)
    assert len(decoded) == len(originals)
    for event, original in zip(decoded, originals, strict=True):
        assert isinstance(event, Event)
        assert_same(event, original)


@given(events())
def test_json_to_compact_and_back_loses_nothing(original: Event) -> None:
    text = encode_json(original)
    [event] = decode_compact(encode_compact([decode_json(text, LIMITS, None)]), LIMITS, None)
    assert isinstance(event, Event)
    assert_same(event, original)
    assert encode_json(event) == text


def test_bytes_are_those_of_the_specification() -> None:
    event = decode_json(
        event_json(rows=2, shape=[2], outputs={"label": ["a", "b"]}, client={"ip": "::1"}), LIMITS, None
    )
    raw = encode_compact([event, event])

    magic, version, zeros, length = struct.unpack_from("<4sB3sI", raw)
    assert (magic, version, zeros, length) == (b"\x89VDT", 1, bytes(3), len(raw) - 12)
    (size,) = struct.unpack_from("<I", raw, 12)
    assert length == 2 * (4 + size)
    assert msgspec.msgpack.decode(raw[16 : 16 + size]) == {
        "id": "r-1",
        "ts": 1763683200.25,
        "model": "digits",
        "client": {"ip": "::1"},
        "inputs": struct.pack("<4f", 0, 0.5, 1, 0.25),
        "rows": 2,
        "outputs": {"label": ["a", "b"]},
    }


def test_record_built_by_hand_is_read() -> None:
    [event] = decode_compact(compact_record([request_bytes(embedding=struct.pack("<2f", 3, 4))]), LIMITS, None)
    assert isinstance(event, Event)
    expected = decode_json(event_json(embedding=[3, 4]), LIMITS, None)
    assert_same(event, expected)


def test_nan_is_a_missing_input() -> None:
    inputs = np.array([np.nan, 1, 2, 3], "<f4").tobytes()
    [event] = decode_compact(compact_record([request_bytes(inputs=inputs)]), LIMITS, None)
    assert isinstance(event, Event)
    assert np.isnan(event.x).tolist() == [[True, False, False, False]]


def test_signalling_nan_is_a_missing_input_like_any_other() -> None:
    inputs = struct.pack("<4I", 0x7F800001, 0x3F800000, 0xFFC12345, 0x7FC00000)
    [event] = decode_compact(compact_record([request_bytes(inputs=inputs)]), LIMITS, None)
    assert isinstance(event, Event)
    assert event.x.view(np.uint32).tolist() == [[0x7FC00000, 0x3F800000, 0x7FC00000, 0x7FC00000]]


def test_bad_request_costs_only_itself() -> None:
    bad = request_bytes(id="")
    record = compact_record([request_bytes(id="a"), bad, request_bytes(id="b"), b"\xc1", request_bytes(id="c")])

    first, second, third, fourth, fifth = decode_compact(record, LIMITS, None)

    assert [e.id for e in (first, third, fifth) if isinstance(e, Event)] == ["a", "b", "c"]
    assert isinstance(second, Rejected)
    assert isinstance(fourth, Rejected)
    assert second.rejection.reason is Reason.BAD_ID
    assert second.raw == compact_record([bad])
    assert fourth.rejection.reason is Reason.MALFORMED


def test_rejected_bytes_can_be_decoded_by_themselves() -> None:
    [_, rejected] = decode_compact(compact_record([request_bytes(), request_bytes(model="")]), LIMITS, None)
    assert isinstance(rejected, Rejected)
    [again] = decode_compact(rejected.raw, LIMITS, None)
    assert isinstance(again, Rejected)
    assert again.raw == rejected.raw
    assert again.rejection.detail == rejected.rejection.detail


def test_broken_frame_costs_the_rest_and_keeps_its_bytes() -> None:
    good = request_bytes(id="a")
    tail = struct.pack("<I", 1000) + b"short"
    body = struct.pack("<I", len(good)) + good + tail
    event, rejected = decode_compact(b"\x89VDT\x01\0\0\0" + struct.pack("<I", len(body)) + body, LIMITS, None)
    assert isinstance(event, Event)
    assert isinstance(rejected, Rejected)
    assert rejected.rejection.reason is Reason.MALFORMED
    assert rejected.raw.endswith(tail)
    [again] = decode_compact(rejected.raw, LIMITS, None)
    assert isinstance(again, Rejected)
    assert again.rejection.reason is Reason.MALFORMED


def test_requests_past_the_limit_are_rejected_together_and_kept_readable() -> None:
    record = compact_record([request_bytes(id=str(i)) for i in range(5)])
    *taken, rest = decode_compact(record, Limits(max_requests=3), None)
    assert [e.id for e in taken if isinstance(e, Event)] == ["0", "1", "2"]
    assert isinstance(rest, Rejected)
    assert rest.rejection.reason is Reason.OUT_OF_RANGE
    assert [e.id for e in decode_compact(rest.raw, LIMITS, None) if isinstance(e, Event)] == ["3", "4"]


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_are_rejected(raw: bytes) -> None:
    assert all(isinstance(item, Rejected) for item in decode_compact(raw, LIMITS, None))
    assert all(isinstance(item, Rejected) for item in decode_compact(compact_record([raw]), LIMITS, None))


@given(st.lists(events(), min_size=1, max_size=2), st.data())
def test_damaged_records_decode_or_are_rejected(originals: list[Event], data: st.DataObject) -> None:
    raw = bytearray(encode_compact(originals))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    for item in decode_compact(bytes(raw), LIMITS, None):
        assert isinstance(item, Event) or item.raw


def test_compact_form_is_smaller_than_json() -> None:
    event = decode_json(event_json(inputs=[i / 7 for i in range(1000)], shape=None), LIMITS, None)
    assert len(encode_compact([event])) < len(encode_json(event)) / 2


@pytest.mark.parametrize("text", [b"{", b" {", b'{"a":1}', json.dumps({"é": 1}, ensure_ascii=False).encode()])
def test_magic_cannot_start_json(text: bytes) -> None:
    assert text[0] != 0x89
    [rejected] = decode_compact(text, LIMITS, None)
    assert isinstance(rejected, Rejected)
    assert rejected.rejection.reason is Reason.UNKNOWN_FORMAT
