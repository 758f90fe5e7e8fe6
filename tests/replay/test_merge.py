"""Merging partitions by time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from replay.merge import TimeMerge

times = st.lists(st.floats(min_value=0, max_value=1e6), max_size=20).map(sorted)


@given(st.lists(times, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_ordered_sources_become_one_ordered_stream_however_they_arrive(
    sources: list[list[float]], order: st.DataObject
) -> None:
    merge: TimeMerge[float] = TimeMerge(range(len(sources)), hold_s=1.0, capacity=10)
    arrivals = [i for i, source in enumerate(sources) for _ in source]
    order.shuffle(arrivals)
    queues, merged = [list(source) for source in sources], []
    for source in arrivals:
        ts = queues[source].pop(0)
        merge.heard(source, 0.0)
        merge.add(source, ts, ts)
        merged += merge.ready(0.5)
    merged += merge.rest()
    assert merged == sorted(ts for source in sources for ts in source)


def test_an_item_waits_for_a_source_that_may_still_bring_an_older_one() -> None:
    merge: TimeMerge[str] = TimeMerge(range(2), hold_s=1.0, capacity=10)
    merge.add(0, 10.0, "late")
    assert list(merge.ready(0.0)) == []
    merge.add(1, 5.0, "early")
    merge.heard(1, 0.5)
    assert list(merge.ready(0.5)) == ["early"]


def test_a_silent_source_is_waited_for_only_so_long() -> None:
    merge: TimeMerge[str] = TimeMerge(range(2), hold_s=1.0, capacity=10)
    merge.add(0, 10.0, "a")
    assert list(merge.ready(100.0)) == []
    assert list(merge.ready(100.9)) == []
    assert list(merge.ready(101.0)) == ["a"]


def test_a_source_far_ahead_is_full_until_its_items_are_out() -> None:
    merge: TimeMerge[int] = TimeMerge(range(2), hold_s=1.0, capacity=3)
    for i in range(3):
        merge.add(0, float(i), i)
    assert merge.full() == {0}
    merge.add(1, 9.0, 9)
    assert list(merge.ready(0.0)) == [0, 1, 2]
    assert merge.full() == set()
