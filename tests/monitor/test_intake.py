"""Records to events, ticks and dead letters, in order."""

from __future__ import annotations

import numpy as np
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
    records = [record(offset, encode_json(event(f"{p}-{offset}")), p) for p, offset in feed]
    runs = take(records, {("t", 0): done}, LIMITS, NOW)
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
    (run,) = take(feed, {}, LIMITS, NOW)
    assert [e.id for e in run.events] == ["a", "b", "c"]
    assert run.ticks == [(0, NOW), (1, NOW + 1), (1, NOW + 2), (3, NOW + 3)]
    assert run.next_offset == 6
    assert not run.dead


def test_ticks_from_the_future_are_dead_letters_while_a_clock_judges() -> None:
    (run,) = take([tick(0, NOW + 301)], {}, LIMITS, NOW)
    assert not run.ticks
    assert [letter.rejection.reason for letter in run.dead] == [Reason.BAD_TIME]
    (replayed,) = take([tick(0, NOW + 301)], {}, Limits(max_future_s=None), NOW)
    assert replayed.ticks == [(0, NOW + 301)]


def test_dead_letters_carry_their_bytes_and_their_record() -> None:
    spoilt = bytearray(encode_compact([event("a"), event("b")]))
    feed = [record(7, b"\xff\x00no event"), record(8, None), record(9, b""), record(10, bytes(spoilt[:-3]))]
    (run,) = take(feed, {("t", 0): 7}, LIMITS, NOW)
    assert [letter.raw for letter in run.dead][:3] == [b"\xff\x00no event", b"", b""]
    assert [letter.record.offset for letter in run.dead][:3] == [7, 8, 9]
    reasons = [letter.rejection.reason for letter in run.dead]
    assert reasons[:3] == [Reason.UNKNOWN_FORMAT, Reason.EMPTY, Reason.EMPTY]
    assert len(run.dead) >= 4
    assert run.next_offset == 11


def test_a_record_of_nothing_new_makes_no_run() -> None:
    assert take([record(3, b"x")], {("t", 0): 4}, LIMITS, NOW) == []
