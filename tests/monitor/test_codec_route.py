"""Re-keying: every event under its client's key, no byte changed, whatever the record holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.codec import Limits, decode_record, encode_compact, encode_json
from monitor.codec.route import routes
from monitor.event import Event, Reason
from tests.monitor.event_strategies import assert_same, events
from tests.monitor.hostile import hostile_records, nasty_but_valid
from tests.monitor.hostile_parts import compact_record, event_json, request_bytes
from tests.monitor.test_codec_many import RECORDS

LIMITS = Limits(max_bytes=512 * 1024)


def clients(*pairs: tuple[str, str | None]) -> bytes:
    return compact_record([request_bytes(id=name, client=None if ip is None else {"ip": ip}) for name, ip in pairs])


@given(RECORDS)
def test_events_stand_under_their_clients_keys_and_nothing_is_lost(raw: bytes | None) -> None:
    whole = decode_record(raw, LIMITS)
    routed = routes(raw or b"", LIMITS)
    assert len({key for key, _ in routed}) == len(routed) >= 1
    events: dict[bytes, list[Event]] = {}
    rejected: list[tuple[str, bytes]] = []
    for key, record in routed:
        decoded = decode_record(record, LIMITS)
        assert {event.client.encode() for event in decoded.events} <= {key}
        events.setdefault(key, []).extend(decoded.events)
        rejected += [(rejection.reason.value, kept) for rejection, kept in decoded.rejections]
    for key, mine in events.items():
        expected = [event for event in whole.events if event.client.encode() == key]
        for event, other in zip(mine, expected, strict=True):
            assert_same(event, other)
    assert sum(map(len, events.values())) == len(whole.events)
    assert sorted(rejected) == sorted((rejection.reason.value, kept) for rejection, kept in whole.rejections)


@given(events(), st.sampled_from([b"", b" ", b"\r\n\t"]))
def test_json_is_one_pair_with_its_bytes(event: Event, space: bytes) -> None:
    raw = space + encode_json(event)
    assert routes(raw, LIMITS) == [(event.client.encode(), raw)]


@given(st.lists(events(), min_size=1, max_size=6))
def test_compact_is_regrouped_by_client_in_order_of_their_first_requests(originals: list[Event]) -> None:
    keys = list(dict.fromkeys(event.client.encode() for event in originals))
    expected = [(key, encode_compact([e for e in originals if e.client.encode() == key])) for key in keys]
    assert routes(encode_compact(originals), LIMITS) == expected


def test_addresses_that_are_one_are_one_client() -> None:
    raw = clients(
        ("a", "203.0.113.9"), ("b", "::ffff:203.0.113.9"), ("c", "2001:DB8::1"), ("d", None), ("e", "2001:db8:0::1")
    )
    assert [key for key, _ in routes(raw, LIMITS)] == [b"ip:203.0.113.9", b"ip:2001:db8::1", b"client:anonymous"]


def test_what_cannot_be_decoded_keeps_its_bytes_under_no_key() -> None:
    for raw in (b"", b"{", b"\xff\x00", b"\x89VDT", event_json()[:-1], b" " * (LIMITS.max_bytes + 1)):
        assert routes(raw, LIMITS) == [(b"", raw)]


def test_what_follows_the_last_sound_request_goes_under_no_key() -> None:
    good, bad = request_bytes(client={"id": "c"}), request_bytes(client={"ip": "nowhere"})
    record = bytearray(compact_record([good, bad, good]))
    record[12 + 8 + len(good) + len(bad)] += 1  # the last request's length
    last = record[12 + 8 + len(good) + len(bad) :]
    kept = routes(bytes(record), LIMITS)
    assert [key for key, _ in kept] == [b"client:c", b""]
    assert kept[0][1] == compact_record([good])
    [(first, _), (rest, raw)] = decode_record(kept[1][1], LIMITS).rejections
    assert (first.reason, rest.reason) == (Reason.BAD_ADDRESS, Reason.MALFORMED)
    assert raw[12:] == last


def test_more_requests_than_are_allowed_stay_together() -> None:
    record = compact_record([request_bytes(client={"id": str(i)}) for i in range(4)])
    assert routes(record, Limits(max_requests=3)) == [(b"", record)]


def test_a_bad_request_among_good_ones_costs_them_nothing() -> None:
    good, bad = request_bytes(client={"id": "c"}), request_bytes(client={"ip": "nowhere"})
    assert routes(compact_record([good, bad, good]), LIMITS) == [
        (b"client:c", compact_record([good, good])),
        (b"", compact_record([bad])),
    ]


@pytest.mark.parametrize(
    "records", [[raw for _, raw, _ in hostile_records(LIMITS)], [raw for _, raw in nasty_but_valid()]]
)
def test_hostile_and_nasty_records_are_decoded_as_before_they_were_routed(records: list[bytes]) -> None:
    for raw in records:
        routed = routes(raw, LIMITS)
        assert [record for _, record in routed] == [raw]
        for event in decode_record(raw, LIMITS).events:
            assert routed[0][0] == event.client.encode()
