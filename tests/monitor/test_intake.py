"""Records to events, ticks and dead letters, in order."""

from __future__ import annotations

import numpy as np
from aiokafka import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from monitor.codec import encode_compact, encode_json
from monitor.codec.limits import Limits
from monitor.codec.tick import encode_tick
from monitor.event import Event, Reason
from monitor.intake import Record, take

LIMITS = Limits(max_future_s=300.0)
NOW = 1_763_700_000.0


def event(name: str) -> Event:
    return Event(id=name, ts=NOW, model="m", x=np.zeros((1, 2), np.float32), shape=(2,), client_id="c")


def record(offset: int, value: bytes | None, partition: int = 0, **more: object) -> Record:
    return Record("t", partition, offset, b"k", value, **more)  # type: ignore[arg-type]  # headers only


def tick(offset: int, ts: float) -> Record:
    value, headers = encode_tick(ts)
    return record(offset, value, headers=headers)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), max_size=40), st.integers(0, 12))
def test_each_offset_once_in_order_from_where_the_checkpoint_ends(feed: list[tuple[int, int]], done: int) -> None:
    """Whatever is delivered twice or from before the checkpoint is left out, per partition."""
    runs = []
    for p in range(3):
        mine = [record(offset, encode_json(event(f"{p}-{offset}")), p) for home, offset in feed if home == p]
        run = take("t", p, mine, done if p == 0 else 0, LIMITS, NOW)
        if run.next_offset > (done if p == 0 else 0):
            runs.append(run)
    expected: dict[int, list[int]] = {}
    for partition, offset in feed:
        mine = expected.setdefault(partition, [])
        if offset >= (mine[-1] + 1 if mine else done if partition == 0 else 0):
            mine.append(offset)
    assert {r.partition: [e.id for e in r.events] for r in runs} == {
        p: [f"{p}-{o}" for o in offsets] for p, offsets in expected.items() if offsets
    }
    assert all(r.next_offset == expected[r.partition][-1] + 1 for r in runs)


def test_ticks_stand_where_they_came() -> None:
    feed = [
        tick(0, NOW),
        record(1, encode_json(event("a"))),
        tick(2, NOW + 1),
        tick(3, NOW + 2),
        record(4, encode_compact([event("b"), event("c")])),
        tick(5, NOW + 3),
    ]
    run = take("t", 0, feed, 0, LIMITS, NOW)
    assert [e.id for e in run.events] == ["a", "b", "c"]
    assert run.ticks == [(0, NOW), (1, NOW + 1), (1, NOW + 2), (3, NOW + 3)]
    assert run.next_offset == 6
    assert not run.dead


def test_ticks_from_the_future_are_dead_letters_while_a_clock_judges() -> None:
    run = take("t", 0, [tick(0, NOW + 301)], 0, LIMITS, NOW)
    assert not run.ticks
    assert [letter.rejection.reason for letter in run.dead] == [Reason.BAD_TIME]
    replayed = take("t", 0, [tick(0, NOW + 301)], 0, Limits(max_future_s=None), NOW)
    assert replayed.ticks == [(0, NOW + 301)]


def test_dead_letters_carry_their_bytes_and_their_record() -> None:
    spoilt = bytearray(encode_compact([event("a"), event("b")]))
    feed = [record(7, b"\xff\x00no event"), record(8, None), record(9, b""), record(10, bytes(spoilt[:-3]))]
    run = take("t", 0, feed, 7, LIMITS, NOW)
    assert [letter.raw for letter in run.dead][:3] == [b"\xff\x00no event", b"", b""]
    assert [letter.record.offset for letter in run.dead][:3] == [7, 8, 9]
    reasons = [letter.rejection.reason for letter in run.dead]
    assert reasons[:3] == [Reason.UNKNOWN_FORMAT, Reason.EMPTY, Reason.EMPTY]
    assert len(run.dead) >= 4
    assert run.next_offset == 11


def test_bad_ticks_stand_among_the_other_dead_letters_in_order() -> None:
    feed = [record(0, b"{"), tick(1, NOW + 301), record(2, b"["), tick(3, NOW), record(4, encode_json(event("a")))]
    run = take("t", 0, feed, 0, LIMITS, NOW)
    assert [letter.record.offset for letter in run.dead] == [0, 1, 2]
    assert run.ticks == [(0, NOW)]


def test_a_record_of_nothing_new_moves_nothing() -> None:
    run = take("t", 0, [record(3, b"x")], 4, LIMITS, NOW)
    assert (run.next_offset, run.events, run.dead) == (4, [], [])


def test_records_of_the_client_library_are_taken_as_they_are() -> None:
    value, headers = encode_tick(NOW)
    feed = [
        ConsumerRecord("t", 0, 5, 0, 0, b"k", encode_json(event("a")), None, 0, 0, ()),
        ConsumerRecord("t", 0, 6, 0, 0, None, value, None, 0, 0, tuple(headers)),
        ConsumerRecord("t", 0, 7, 0, 0, b"k", None, None, 0, 0, (("route", b"x"),)),
    ]
    run = take("t", 0, feed, 5, LIMITS, NOW)
    assert [e.id for e in run.events] == ["a"]
    assert run.ticks == [(1, NOW)]
    [letter] = run.dead
    assert letter.record == Record("t", 0, 7, b"k", headers=(("route", b"x"),))
