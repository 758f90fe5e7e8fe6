"""The schedule of a play: records untouched, ticks that keep their promise."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from replay.schedule import Record, Tick, schedule

CLOSE_S = 91.0
offsets = st.floats(min_value=0.0, max_value=4.0)
steps = st.lists(st.tuples(st.floats(min_value=0.0, max_value=40.0), offsets), max_size=60)


def _records(moves: list[tuple[float, float]]) -> list[Record]:
    """Event times that move on by steps, each up to 4 s late."""
    now, found = 1_000_000.0, []
    for i, (step, late) in enumerate(moves):
        now += step
        found.append(Record(now - late, b"client:%d" % (i % 3), b"%d" % i))
    return found


@given(steps)
def test_no_record_after_a_tick_is_older_than_it(moves: list[tuple[float, float]]) -> None:
    promised = float("-inf")
    for item in schedule(_records(moves), CLOSE_S):
        if isinstance(item, Tick):
            promised = max(promised, item.ts)
        else:
            assert item.ts >= promised


@given(steps)
def test_records_keep_their_order_and_the_last_tick_closes_everything(moves: list[tuple[float, float]]) -> None:
    records = _records(moves)
    items = list(schedule(iter(records), CLOSE_S))
    assert [item for item in items if isinstance(item, Record)] == records
    if records:
        assert items[-1] == Tick(max(r.ts for r in records), max(r.ts for r in records) + CLOSE_S)
    else:
        assert items == []


@given(steps)
def test_ticks_come_in_order_and_no_later_than_every_five_seconds(moves: list[tuple[float, float]]) -> None:
    newest = None
    for item in schedule(_records(moves), CLOSE_S):
        if newest is not None and isinstance(item, Record):
            assert item.ts - newest < 5.0 + 1e-6
        if isinstance(item, Tick):
            assert newest is None or item.due >= newest
            newest = item.due
        elif newest is None:
            newest = item.ts


def test_a_gap_is_bridged_by_ticks_behind_event_time() -> None:
    items = list(schedule([Record(100.0, b"k", b"a"), Record(112.5, b"k", b"b")], CLOSE_S))
    assert items[1:3] == [Tick(105.0, 100.0), Tick(110.0, 105.0)]
    assert items[4] == Tick(112.5, 203.5)


def test_a_gap_of_years_is_bridged_by_a_thousand() -> None:
    items = list(schedule([Record(0.0, b"k", b"a"), Record(3e8, b"k", b"b")], CLOSE_S))
    assert 900 <= len(items) <= 1010
