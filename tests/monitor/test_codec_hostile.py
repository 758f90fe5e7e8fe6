"""Every hostile record is rejected for its own reason, in memory bounded by its size; every nasty one gets through."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from monitor.codec import Limits, decode_record, encode_compact, encode_json
from monitor.event import MAX_DETAIL_CHARS, Reason
from tests.monitor.event_strategies import assert_same
from tests.monitor.hostile import Hostile, hostile_records, nasty_but_valid

# Smaller than the default so that the oversized records cost little; every other record is below it.
LIMITS = Limits(max_bytes=512 * 1024)
HOSTILE = hostile_records(LIMITS)
#: The parser's own objects are at most this many times the text; arrays come on top.
BYTES_PER_BYTE = 64


def test_hostile_records_are_many_distinct_and_cover_every_reason() -> None:
    assert len(HOSTILE) >= 200
    assert len({name for name, _, _ in HOSTILE}) == len({raw for _, raw, _ in HOSTILE}) == len(HOSTILE)
    assert {reason for _, _, reason in HOSTILE} == set(Reason)


@pytest.mark.parametrize("hostile", HOSTILE, ids=[name for name, _, _ in HOSTILE])
def test_hostile_record_is_rejected_for_its_reason(hostile: Hostile) -> None:
    _, raw, reason = hostile

    decoded = decode_record(raw, LIMITS)

    assert decoded.events == []
    [(rejection, kept)] = decoded.rejections
    assert rejection.reason is reason, rejection
    assert kept == raw
    assert rejection.detail.isascii()
    assert rejection.detail.isprintable()
    assert 0 < len(rejection.detail) <= MAX_DETAIL_CHARS


@pytest.mark.parametrize("prefix", ["size:", "depth bomb:", "tags:", "compact", "rows:", "inputs "])
def test_hostile_record_costs_memory_in_proportion_to_its_size(prefix: str) -> None:
    for name, raw, _ in HOSTILE:
        if not name.startswith(prefix):
            continue
        tracemalloc.start()
        decode_record(raw, LIMITS)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 200_000 + BYTES_PER_BYTE * len(raw), name


def test_oversized_record_is_rejected_without_being_parsed() -> None:
    raw = b'{"inputs":[' + b"0," * LIMITS.max_bytes
    tracemalloc.start()
    decode_record(raw, LIMITS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000


@pytest.mark.parametrize(("name", "raw"), nasty_but_valid(), ids=[name for name, _ in nasty_but_valid()])
def test_nasty_event_gets_through_and_back_unharmed(name: str, raw: bytes) -> None:
    [event] = decode_record(raw, LIMITS).events

    for encoded in (encode_json(event), encode_compact([event])):
        again = decode_record(encoded, LIMITS)
        assert again.rejections == []
        assert_same(again.events[0], event)
    assert b"\n" not in encode_json(event)


def test_nasty_texts_arrive_exactly_as_sent() -> None:
    nasty = dict(nasty_but_valid())
    [event] = decode_record(nasty["everywhere: html"], LIMITS).events
    text = "<script>alert(document.cookie)</script>"
    assert (event.id, event.model, event.version, event.client_id) == (text,) * 4
    assert event.label_names == (text,)
    assert event.tags[text] == text
    [event] = decode_record(nasty["all inputs missing"], LIMITS).events
    assert np.isnan(event.x).all()
    [event] = decode_record(nasty["mapped address"], LIMITS).events
    assert event.client_ip == "203.0.113.9"
    [event] = decode_record(nasty["repeated keys"], LIMITS).events
    assert event.id == "r-1"
