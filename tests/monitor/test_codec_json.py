from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.batch import NO_LABEL
from monitor.codec import decode_record
from monitor.codec.depth import nests_deeper
from monitor.codec.json_event import decode_json, encode_json
from monitor.codec.limits import Limits
from monitor.event import Event, Reason, Rejection, label_hash
from tests.monitor.event_strategies import assert_same, events
from tests.monitor.hostile_parts import event_json

LIMITS = Limits(max_future_s=300.0)
NOW = 1763683200.0


def decode(**fields: Any) -> Event:
    return decode_json(event_json(**fields), LIMITS, None)


def test_documented_example() -> None:
    raw = (
        b'{"id":"r-81","ts":1763683200.25,"model":"digits","version":"3","client":{"id":"acct-7","ip":"203.0.113.9"},'
        b'"inputs":[0,0.5,1,0.25],"shape":[2,2],"outputs":{"scores":[0.1,0.9],"label":1}}'
    )
    event = decode_json(raw, LIMITS, NOW)
    assert (event.id, event.ts, event.model, event.version) == ("r-81", 1763683200.25, "digits", "3")
    assert (event.client, event.client_ip) == ("client:acct-7", "203.0.113.9")
    assert event.shape == (2, 2)
    assert event.x.dtype == np.float32
    assert event.x.tolist() == [[0, 0.5, 1, 0.25]]
    assert event.scores is not None
    assert event.scores.tolist() == [[np.float32(0.1), np.float32(0.9)]]
    assert event.labels is not None
    assert event.labels.tolist() == [1]
    assert event.label_names is event.values is event.embedding is None
    assert event.tags == {}


@given(events())
def test_round_trip(event: Event) -> None:
    assert_same(decode_json(encode_json(event), LIMITS, None), event)


@given(events())
def test_encoding_is_stable_and_plain_json(event: Event) -> None:
    raw = encode_json(event)
    assert encode_json(decode_json(raw, LIMITS, None)) == raw
    assert json.loads(raw)["id"] == event.id
    assert b"\n" not in raw
    assert b"NaN" not in json.dumps(json.loads(raw)["inputs"]).encode()


@given(st.lists(st.decimals(-1000, 1000, places=3, allow_nan=False), min_size=1, max_size=20))
def test_short_decimals_are_written_short(decimals: list[Any]) -> None:
    values = [float(d) for d in decimals]
    event = decode(inputs=values, shape=None, outputs={})
    assert json.loads(encode_json(event))["inputs"] == values


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_rejected(raw: bytes) -> None:
    with pytest.raises(Rejection):
        decode_json(raw, LIMITS, NOW)


@given(events(), st.data())
def test_damaged_events_decode_or_are_rejected(event: Event, data: st.DataObject) -> None:
    raw = bytearray(encode_json(event))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    decoded = decode_record(bytes(raw), LIMITS)
    assert len(decoded.events) + len(decoded.rejections) == 1
    assert all(
        rejection.reason is not Reason.MALFORMED or "decoder failed" not in rejection.detail
        for rejection, _ in decoded.rejections
    )


@pytest.mark.parametrize(
    "nested",
    [
        [0, 0.5, 1, 0.25],
        [[0, 0.5], [1, 0.25]],
        [[[0], [0.5]], [[1], [0.25]]],
        [[0, 0.5, 1, 0.25]],
        [[[[[[[[0, 0.5, 1, 0.25]]]]]]]],
    ],
)
def test_nesting_is_only_another_way_to_write_the_same_values(nested: list[Any]) -> None:
    assert_same(decode(inputs=nested), decode())
    assert decode(inputs=nested, shape=None).shape == (4,)


@pytest.mark.parametrize("nested", [[None, 1], [[None], [1]]])
def test_null_is_a_missing_input(nested: list[Any]) -> None:
    np.testing.assert_array_equal(decode(inputs=nested, shape=None).x, [[np.nan, 1]])


def test_rows() -> None:
    event = decode(
        inputs=[1, 2, 3, 4], rows=2, shape=None, embedding=[1, 2, 3, 4, 5, 6],
        outputs={"scores": [0.25, 0.75, 0.5, 0.5], "label": ["cat", "dog"], "value": [1.5, -2]},
    )  # fmt: skip
    assert event.rows == 2
    assert event.shape == (2,)
    assert event.x.tolist() == [[1, 2], [3, 4]]
    assert event.scores is not None
    assert event.scores.tolist() == [[0.25, 0.75], [0.5, 0.5]]
    assert event.label_names == ("cat", "dog")
    assert event.served_labels().tolist() == [label_hash("cat"), label_hash("dog")]
    assert event.values is not None
    assert event.values.tolist() == [1.5, -2]
    assert event.embedding is not None
    assert event.embedding.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_scores_may_nest_by_row() -> None:
    flat, nested = ({"scores": s} for s in ([0.25, 0.75, 0.5, 0.5], [[0.25, 0.75], [0.5, 0.5]]))
    assert_same(decode(rows=2, shape=[2], outputs=nested), decode(rows=2, shape=[2], outputs=flat))


def test_as_many_rows_as_the_limit() -> None:
    rows = LIMITS.max_rows
    assert decode(inputs=[1] * rows, rows=rows, shape=[1], outputs={}).x.shape == (rows, 1)


def test_labels() -> None:
    assert decode(outputs={"label": 3}).served_labels().tolist() == [3]
    assert decode(outputs={"label": [3]}).served_labels().tolist() == [3]
    assert decode(outputs={"scores": [0.25, 0.75]}).served_labels().tolist() == [1]
    assert decode(outputs={}).served_labels().tolist() == [NO_LABEL]
    assert decode(outputs={"label": 2**63 - 1}).served_labels().tolist() == [2**63 - 1]


@given(st.text(max_size=20))
def test_label_hash_is_a_natural_number_below_2_to_the_62(name: str) -> None:
    assert 0 <= label_hash(name) < 2**62


def test_label_hash_never_changes() -> None:
    assert label_hash("cat") == 3429664268601861939


@pytest.mark.parametrize(
    ("text", "ts"),
    [
        ("2025-11-21T00:00:00Z", 1763683200.0),
        ("2025-11-21t00:00:00z", 1763683200.0),
        ("2025-11-21 00:00:00Z", 1763683200.0),
        ("2025-11-21T01:00:00.25+01:00", 1763683200.25),
        ("2025-11-20T19:00:00.000001-05:00", 1763683200.000001),
    ],
)
def test_rfc3339_times(text: str, ts: float) -> None:
    assert decode(ts=text).ts == ts


def test_time_may_lie_a_little_ahead_of_the_clock() -> None:
    raw = event_json(ts=NOW + 300.0)
    assert decode_json(raw, LIMITS, NOW).ts == NOW + 300.0
    with pytest.raises(Rejection) as caught:
        decode_json(raw, LIMITS, NOW - 0.001)
    assert caught.value.reason is Reason.BAD_TIME
    assert decode_json(raw, Limits(max_future_s=None), 0.0).ts == NOW + 300.0


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("::FFFF:CB00:7109", "203.0.113.9"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("::1", "::1"),
    ],
)
def test_addresses_are_normalised(written: str, kept: str) -> None:
    event = decode(client={"ip": written})
    assert event.client_ip == kept
    assert event.client == f"ip:{kept}"


@pytest.mark.parametrize("client", [None, {}, {"id": None, "ip": None}, {"id": ""}])
def test_client_without_id_and_address_is_anonymous(client: Any) -> None:
    assert decode(client=client).client == "client:anonymous"


def test_null_counts_as_absent_in_optional_fields() -> None:
    optional = ("version", "client", "rows", "outputs", "embedding", "tags")
    assert_same(decode(**dict.fromkeys(optional)), decode(outputs={}))
    outputs = dict.fromkeys(("scores", "label", "value"))
    assert_same(decode(outputs=outputs), decode(outputs={}))


@pytest.mark.parametrize(("field", "limit"), [("id", 256), ("model", 128), ("version", 128)])
def test_names_as_long_as_may_be(field: str, limit: int) -> None:
    name = "\U0001d4d0" * limit
    assert getattr(decode(**{field: name}), field) == name


def test_tags_as_many_and_long_as_may_be() -> None:
    tags = {f"{i:0128d}": "v" * 1024 for i in range(64)}
    assert decode(tags=tags).tags == tags


def test_size_limit_is_inclusive() -> None:
    raw = event_json()
    assert decode_json(raw, Limits(max_bytes=len(raw)), None).id == "r-1"
    with pytest.raises(Rejection) as caught:
        decode_json(raw, Limits(max_bytes=len(raw) - 1), None)
    assert caught.value.reason is Reason.TOO_LARGE


_json = st.recursive(
    st.none() | st.integers() | st.text(st.sampled_from('[]{}"\\a'), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.sampled_from('[]{}"\\'), max_size=4), inner),
    max_leaves=40,
)


@given(_json)
def test_depth_is_that_of_the_parsed_value(value: Any) -> None:
    def depth(v: Any) -> int:
        inner = v.values() if isinstance(v, dict) else v
        return 1 + max(map(depth, inner), default=0) if isinstance(v, dict | list) else 0

    raw = json.dumps(value).encode()
    assert not nests_deeper(raw, depth(value))
    assert depth(value) == 0 or nests_deeper(raw, depth(value) - 1)
