"""The walk over many JSON records: what it takes is what a parser reads, and what it must leave it leaves."""

from __future__ import annotations

import json
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.codec import Limits, decode_record, decode_records, scanned
from monitor.codec.plain import plain_json
from monitor.codec.scanned import quick_json
from monitor.event_block import EventBlock
from tests.monitor.event_strategies import assert_same
from tests.monitor.hostile_parts import event_json, spliced

LIMITS = Limits(max_bytes=64 * 1024)
#: Numbers as senders write them: of either precision, shortest or with a fixed number of digits, and whole ones.
DECIMALS = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.tuples(st.floats(-1e9, 1e9), st.integers(0, 17)).map(lambda v: f"{v[0]:.{v[1]}f}"),
    st.tuples(st.floats(-1e9, 1e9), st.integers(0, 17)).map(lambda v: f"{v[0]:.{v[1]}e}"),
    st.integers(-(10**20), 10**20).map(str),
    st.text("0123456789.eE+-", min_size=1, max_size=12),
    st.sampled_from(["null", "-0", "-0.0", "0.0", "01", "1.", ".5", "1e5", "16777217", "3.4028236e38", "1e-46", ""]),
)
SPACES = st.sampled_from(["", " ", "  ", "\n", "\t "])


def with_inputs(numbers: list[str], space: str = "") -> bytes:
    return spliced("inputs", "[" + f",{space}".join(numbers) + "]")


def taken(*records: bytes) -> list[bool]:
    return [bool(flag) for flag in quick_json(records, LIMITS)[1]]


@given(st.lists(DECIMALS, min_size=1, max_size=6), SPACES)
@example(["0.000030517578125", "0.1234567890123456", "1.00000005960464477539", "12345678901234567890"], " ")
@example(["8.5899366e9", "2.2250738585072014e-308", "0.30000001192092896"], "")
def test_numbers_are_read_as_a_parser_reads_them(numbers: list[str], space: str) -> None:
    raw = with_inputs(numbers, space)
    requests, flags = quick_json([raw], LIMITS)
    plain = plain_json(raw, LIMITS)
    if flags[0]:
        assert requests is not None
        assert plain is not None
        assert requests.inputs.flat.tobytes() == plain[6]
    for number in numbers:  # what is sound and usual is not left to the parser
        try:
            value = float(json.loads(number))
        except (ValueError, TypeError):
            continue
        if value and len(number) <= 15 and "e" not in number and "E" not in number:
            assert taken(with_inputs([number])) == [True]


@given(st.floats(1.0, 4e9) | st.integers(1, 4 * 10**9), st.sampled_from(["{!r}", "{:.3f}", "{:.9f}", "{:e}"]))
def test_times_keep_every_bit(ts: float, form: str) -> None:
    raw = spliced("ts", form.format(ts))
    requests, [flag] = quick_json([raw], LIMITS)
    assert flag
    assert requests is not None
    assert requests.times[0] == msgspec.json.decode(form.format(ts).encode(), type=float)


USUAL = {
    "spaces": json.dumps(json.loads(event_json()), indent=1).encode() + b"\n ",
    "nothing but what must be": b'{"id":"a","ts":1,"model":"m","inputs":[1]}',
    "nulls": event_json(version=None, client={"id": None, "ip": None}, shape=None, rows=None, tags=None),
    "no outputs": event_json(outputs=None),
    "empty outputs": event_json(outputs={}),
    "scores and value": event_json(outputs={"scores": [0.25, 0.75], "value": -1.5}),
    "a name as label": event_json(outputs={"label": "cat"}),
    "a negative label": event_json(outputs={"label": -3}),
    "missing inputs": event_json(inputs=[None, 1, None, 2]),
    "one row": event_json(rows=1),
    "empty client id": event_json(client={"id": "", "ip": "::1"}),
    "empty version": event_json(version=""),
    "a time to the microsecond": event_json(ts=1763715600.123456),
    "seventeen digits": event_json(inputs=[0.1234567890123456789, -98765.43210987654, 1e-7, 1.7e12]),
}
UNUSUAL = {
    "an escape": spliced("id", '"a\\u0062"'),
    "not ASCII": spliced("id", '"\u00e9"'),
    "a tab in a text": spliced("id", '"a\tb"'),
    "a key twice": event_json()[:-1] + b',"id":"again"}',
    "an unknown key": event_json(kind="x"),
    "a long key": event_json(embedding=[1.0]),
    "two rows": event_json(rows=2),
    "tags": event_json(tags={"a": "b"}),
    "a list of labels": event_json(outputs={"label": [1]}),
    "a broken label": event_json(outputs={"label": 1.5}),
    "nested inputs": event_json(inputs=[[1, 2], [3, 4]]),
    "a trailing comma": spliced("inputs", "[1,2,3,4,]"),
    "a null score": event_json(outputs={"scores": [None, 1]}),
    "an empty address": event_json(client={"ip": ""}),
    "no end": event_json()[:-1],
    "something behind it": event_json() + b"{}",
    "a number cut by the end": event_json()[: event_json().index(b"[") + 2],
    "no id": event_json(id=None),
    "no object": b"[]",
    "nothing": b"",
    "too long": b" " * 65536 + event_json(),
    "too long behind": event_json() + b" " * 65536,
    "beyond float32": event_json(inputs=[1e39, 0, 0, 0]),
    "a float32 of few bits": event_json(inputs=[1e-40, 0, 0, 0]),
    "minus zero": spliced("inputs", "[-0.0,2,3,4]"),
}


@pytest.mark.parametrize("raw", USUAL.values(), ids=USUAL)
def test_usual_records_are_taken(raw: bytes) -> None:
    assert taken(raw) == [True]
    [event] = decode_records([raw] * 64, LIMITS).events[:1]
    assert_same(event, decode_record(raw, LIMITS).events[0])


@pytest.mark.parametrize("raw", UNUSUAL.values(), ids=UNUSUAL)
def test_others_are_left_and_cost_their_neighbours_nothing(raw: bytes) -> None:
    assert taken(event_json(), raw, event_json(), raw) == [True, False, True, False]
    good = [event_json(id=str(i), inputs=[i, 2, 3, 4]) for i in range(40)]
    mixed = [record for one in good for record in (one, raw)]
    many = decode_records(mixed, LIMITS)
    expected = [decode_record(record, LIMITS) for record in mixed]
    for event, other in zip(many.events, (e for one in expected for e in one.events), strict=True):
        assert_same(event, other)
    assert [i for i, _, _ in many.rejections] == [i for i, one in enumerate(expected) if one.rejections]


@pytest.mark.parametrize("at_once", [1, 700, 1 << 18])
def test_how_much_is_walked_over_at_once_changes_nothing(at_once: int) -> None:
    records = [
        event_json(
            id=f"e{i}",
            model="ab"[i // 30 % 2],
            version=[None, "1", "22"][i // 7 % 3],
            shape=[[4], [2, 2], None][i // 5 % 3],
            outputs=[{"label": i}, {"label": f"n{i}"}, {"scores": [0.5] * (i % 4 + 1)}, {"value": i / 8}][i % 4],
            client={"id": f"c{i}"} if i % 3 else {"ip": f"10.0.0.{i}"},
            ts=1e9 + i / 7,
        )
        for i in range(100)
    ]
    with patch.object(scanned, "_AT_ONCE", at_once):
        many = decode_records(records, LIMITS)
    assert not many.rejections
    for event, raw in zip(many.events, records, strict=True):
        assert_same(event, decode_record(raw, LIMITS).events[0])


def test_requests_of_one_form_are_a_block_and_others_are_not() -> None:
    alike = [event_json(id=str(i), model="ab"[i % 2]) for i in range(100)]
    assert isinstance(decode_records(alike, LIMITS).events, EventBlock)
    wider = [*alike, event_json(inputs=[1, 2, 3, 4, 5], shape=None)]
    assert isinstance(decode_records(wider, LIMITS).events, list)


def test_where_there_is_no_json_nothing_is_taken() -> None:
    requests, flags = quick_json([], LIMITS)
    assert requests is None
    assert len(flags) == 0
