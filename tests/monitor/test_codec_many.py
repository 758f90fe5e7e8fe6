"""Many records at once: whatever they hold, the same as one at a time; and plain ones take the quick way."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import monitor.codec
from monitor.codec import DecodedMany, Limits, decode_record, decode_records, encode_compact, encode_json
from monitor.codec.bulk import assemble_plain
from monitor.codec.plain import Plain, plain_compact, plain_json
from monitor.event import Event, Rejection
from tests.monitor.event_strategies import assert_same, events
from tests.monitor.hostile import hostile_records, nasty_but_valid
from tests.monitor.hostile_parts import DROP, compact_record, event_json, request_bytes

LIMITS = Limits(max_bytes=512 * 1024, max_rows=5, max_requests=4, max_future_s=300.0)
NOW = 1763683200.0
HOSTILE = [raw for _, raw, _ in hostile_records(LIMITS)]
NASTY = [raw for _, raw in nasty_but_valid()]
KNOWN = [*HOSTILE, *NASTY, None, b""]

NUMBERS = st.one_of(
    st.integers(), st.floats(allow_nan=False), st.floats(width=32), st.sampled_from([0, -0.0, 3.5e38, 10**400, 1e-46])
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5), lambda inner: st.lists(inner, max_size=4), max_leaves=6
)
ODD: dict[str, st.SearchStrategy[object]] = {
    "id": st.text(max_size=3) | st.just("x" * 257) | st.just("new\nline"),
    "ts": NUMBERS | st.sampled_from(["2025-11-21T08:00:00Z", "soon", NOW + 300, NOW + 300.1, 4102444800]),
    "model": st.text(max_size=3) | st.just("m" * 129),
    "version": st.text(max_size=3) | st.sampled_from([None, "v" * 128, "v" * 129]),
    "client": st.fixed_dictionaries(
        {},
        optional={
            "id": st.text(max_size=3) | st.none(),
            "ip": st.sampled_from(["1.2.3.4\n5.6.7.8", "5.6.7.8\n", "256.1.1.1", "\u0661.2.3.4"])
            | st.sampled_from(["", "1.2.3.4", "01.2.3.4", "::ffff:1.2.3.4", "fe80::1%lo", "::1", "2001:DB8::1"]),
            "kind": st.just(1),
        },
    )
    | st.none(),
    "inputs": st.lists(NUMBERS | st.none(), max_size=6) | st.lists(st.lists(NUMBERS, min_size=2, max_size=2)),
    "shape": st.lists(st.integers(-1, 6), max_size=3) | st.none(),
    "rows": st.integers(-1, 7) | st.none(),
    "outputs": st.fixed_dictionaries(
        {},
        optional={
            "scores": st.lists(NUMBERS, max_size=3) | st.none(),
            "label": st.integers() | st.text(max_size=3) | st.lists(st.integers() | st.text(max_size=2), max_size=2),
            "value": NUMBERS | st.none() | st.lists(NUMBERS, max_size=2),
        },
    ),
    "embedding": st.lists(NUMBERS, max_size=3) | st.none(),
    "tags": st.dictionaries(st.text(max_size=3), st.text(max_size=3) | st.just("v" * 1025), max_size=3) | st.none(),
    "unknown": ANYTHING,
}
FIELDS = st.sampled_from(sorted(ODD)).flatmap(
    lambda name: st.tuples(st.just(name), ODD[name] | ANYTHING | st.just(DROP))
)
FLOAT32S = st.lists(st.floats(width=32), max_size=4).map(lambda v: np.array(v, "<f4").tobytes())


@st.composite
def odd_json(draw: st.DrawFn) -> bytes:
    return event_json(**dict(draw(st.lists(FIELDS, max_size=2))))


@st.composite
def odd_request(draw: st.DrawFn) -> bytes:
    """A compact request of which one field is another tensor, or something else altogether."""
    name = draw(st.sampled_from(["inputs", "embedding", "outputs", "id", "ts", "rows", "shape", "client"]))
    tensor = FLOAT32S | st.binary(max_size=9) | st.just(b"\x01\x00\xc0\xff" * 4)  # the last: NaN with a payload
    if name == "outputs":
        value = draw(
            st.fixed_dictionaries({}, optional={"scores": tensor, "value": tensor, "label": st.integers(0, 9)})
        )
    elif name in ("inputs", "embedding"):
        value = draw(tensor)
    else:
        value = draw(ODD[name].filter(lambda v: not isinstance(v, int) or -(2**63) <= v < 2**64) | st.just(DROP))
    return request_bytes(**{name: value})


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A good record with some of its bytes replaced."""
    raw = bytearray(draw(st.sampled_from([event_json(), compact_record([request_bytes()] * 2)])))
    for at in draw(st.lists(st.integers(0, len(raw) - 1), max_size=3)):
        raw[at] = draw(st.sampled_from(b'"{}[],:\\ \x00\xff\xe2\x80\xa8n0-') | st.integers(0, 255))
    return bytes(raw)


RECORDS = st.one_of(
    events().map(encode_json),
    st.lists(events(), min_size=1, max_size=5).map(encode_compact),
    odd_json(),
    st.lists(odd_request(), min_size=1, max_size=5).map(compact_record),
    spoilt(),
    st.integers(0, len(KNOWN) - 1).map(lambda i: KNOWN[i]),
)


def assert_like_one_by_one(values: Sequence[bytes | None], now: float | None) -> DecodedMany:
    with patch.object(monitor.codec, "LEAST_SCANNED", 1):
        assert_same_as_one_by_one(decode_records(values, LIMITS, now), values, now)
    many = decode_records(values, LIMITS, now)
    assert_same_as_one_by_one(many, values, now)
    return many


def assert_same_as_one_by_one(many: DecodedMany, values: Sequence[bytes | None], now: float | None) -> None:
    ones = [decode_record(value, LIMITS, now) for value in values]
    assert list(many.sources) == [i for i, one in enumerate(ones) for _ in one.events]
    for event, expected in zip(many.events, (e for one in ones for e in one.events), strict=True):
        assert_same(event, expected)
        for mine, theirs in ((event.x, expected.x), (event.scores, expected.scores), (event.labels, expected.labels)):
            if mine is not None and theirs is not None:
                assert mine.tobytes() == theirs.tobytes()
    assert [(i, _said(r), raw) for i, r, raw in many.rejections] == [
        (i, _said(r), raw) for i, one in enumerate(ones) for r, raw in one.rejections
    ]


def _said(rejection: Rejection) -> tuple[str, str]:
    return rejection.reason.value, rejection.detail


@given(st.lists(RECORDS, max_size=8), st.none() | st.just(NOW))
@example([event_json(inputs=[None, 1]), event_json(), event_json(inputs=[1, 2, 3, 4]), event_json(shape=[4])], NOW)
@example([event_json(outputs={"label": [7]}), event_json(outputs={"label": 2**63}), event_json()], None)
@example([compact_record([request_bytes(ts=float("nan")), request_bytes()])], None)
@example([event_json(), b'{"id":"\xff"}', event_json(unknown=[[[1]]]), event_json(inputs=[3.5e38] * 4)], None)
def test_many_at_once_are_like_one_by_one(values: list[bytes | None], now: float | None) -> None:
    assert_like_one_by_one(values, now)


def test_hostile_and_nasty_records_among_good_ones() -> None:
    good = event_json()
    mixed = [raw for odd in [*HOSTILE, *NASTY] for raw in (good, odd)]
    many = assert_like_one_by_one(mixed, NOW + 1e9)
    assert len(many.rejections) == len(HOSTILE)
    assert len(many.events) == len(mixed) - len(HOSTILE)


def all_kinds() -> list[Plain]:
    """Plain requests with every optional field, in both forms."""
    full = {
        "version": "3",
        "client": {"id": "c", "ip": "203.0.113.9"},
        "inputs": [1, None, 0.5, -2],
        "embedding": [1.5],
        "tags": {"route": "a"},
        "rows": 1,
    }
    requests = [
        event_json(),
        event_json(**full, outputs={"label": "cat", "value": 0.5}),
        event_json(shape=DROP, outputs=DROP),
        event_json(inputs=[1, 2], shape=[2]),
    ]
    both = []
    for raw in requests:
        plain = plain_json(raw, LIMITS)
        assert plain is not None, raw
        [event] = decode_record(raw, LIMITS).events
        [again] = plain_compact(encode_compact([event]), LIMITS) or []
        both += [plain, again]
    return both


def test_plain_requests_take_the_quick_way_together() -> None:
    """Compared with the slow way above; here it matters that none of them needed it."""
    made, bad = assemble_plain(all_kinds(), LIMITS, None)
    assert not bad
    assert len(made) == 8
    assert np.may_share_memory(made[0].x.base, made[2].x.base)  # all tensors stand in one array
    assert made[2].label_names == ("cat",)
    assert np.isnan(made[2].x[0, 1])
    assert [e.rows for e in made] == [1] * 8


def test_requests_that_fail_are_named_and_cost_the_others_nothing() -> None:
    [good, *_] = all_kinds()
    faults = {1: ("\n", 0), 3: (-1.0, 1), 4: ("", 2), 6: (b"\x00\x00\x80\x7f", 6), 7: ([3], 7)}
    requests = [
        good if i not in faults else (*good[: faults[i][1]], faults[i][0], *good[faults[i][1] + 1 :]) for i in range(9)
    ]
    made, bad = assemble_plain(requests, LIMITS, None)  # type: ignore[arg-type]  # rebuilt field by field
    assert bad == set(faults)
    whole, none = assemble_plain([good], LIMITS, None)
    assert not none
    for i in set(range(9)) - bad:
        assert_same(made[i], whole[0])


def test_a_fault_of_the_quick_way_leaves_the_word_to_the_slow_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: object) -> tuple[list[Event], set[int]]:
        raise ZeroDivisionError

    monkeypatch.setattr(monitor.codec, "assemble_plain", faulty)
    many = decode_records([event_json(), b"{", compact_record([request_bytes()] * 2)], LIMITS)
    assert list(many.sources) == [0, 2, 2]
    assert [i for i, _, _ in many.rejections] == [1]


def test_want_of_memory_is_not_the_records_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def starved(*_: object) -> tuple[list[Event], set[int]]:
        raise MemoryError

    monkeypatch.setattr(monitor.codec, "assemble_plain", starved)
    with pytest.raises(MemoryError):
        decode_records([event_json()], LIMITS)


def test_nothing_is_nothing() -> None:
    assert decode_records([], LIMITS) == ([], [], [])


@pytest.mark.parametrize("ip", ["1.2.3.4\n5.6.7.8", "5.6.7.8\n", "\n", "1.2.3.4\r", "01.2.3.4", "1.2.3", "256.1.1.1"])
def test_no_address_passes_in_the_company_of_good_ones(ip: str) -> None:
    records = [event_json(id=str(i), client={"ip": f"198.51.100.{i}"}) for i in range(20)]
    records.insert(7, event_json(id="odd", client={"ip": ip}))
    decoded = decode_records(records, LIMITS, NOW)
    assert [i for i, _, _ in decoded.rejections] == [7]
    assert [event.client_ip for event in decoded.events] == [f"198.51.100.{i}" for i in range(20)]
