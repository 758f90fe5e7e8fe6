"""What a partition tells of its accounts: each window once, the same however its rows were cut and kept."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from suspect_traffic import suspicion

from detectors.batch import EventBatch
from detectors.head_count import count
from detectors.suspicion import Suspicion
from monitor.columns import to_batches
from monitor.shares import Suspects
from monitor.suspects import News, PartitionSuspects
from monitor.windows import WindowPlan
from tests.monitor.small_core import clean, event

PLAN = WindowPlan({}, 10.0, 3.0, 0, {}, baseline="b")
CLIENTS = ("client:a", "client:b", "client:anonymous", "ip:192.0.2.1")


def collector(plan: WindowPlan = PLAN) -> PartitionSuspects:
    return PartitionSuspects(plan, {"digits"}, 3)


def batch(rows: list[tuple[int, int]]) -> EventBatch:
    """(second, client) of each row."""
    x = clean().x[:1]
    events = [event(i, float(ts), CLIENTS[client], x) for i, (ts, client) in enumerate(rows)]
    (made,) = to_batches(events, {"digits": clean().scores.shape[1]})  # type: ignore[union-attr]  # it has scores
    return made


def raised(rows: EventBatch) -> list[tuple[int, Suspicion]]:
    """Every other row is suspicious, by two detectors in turn."""
    return [
        (i, suspicion(rows.clients[i], 20.0 + i % 7, float(rows.ts[i]), detector=f"d{i % 4}", event=rows.ids[i]))
        for i in range(0, len(rows), 2)
    ]


def said(told: list[Suspects]) -> list[tuple[int, int, int, News]]:
    return [(t.partition, t.index, t.number, msgspec.msgpack.decode(t.data, type=News)) for t in told]


def fed(rows: EventBatch, cuts: list[int], *, restart: bool = False) -> list[Suspects]:
    watermarks = np.maximum.accumulate(rows.ts)
    here, told, state = collector(), list[Suspects](), dict[str, bytes]()
    edges = sorted({0, len(rows), *(c for c in cuts if c < len(rows))})
    for begin, end in pairwise(edges):
        mine = [(i - begin, s) for i, s in raised(rows) if begin <= i < end]
        here.absorb(rows.take(np.arange(begin, end)), watermarks[begin:end], mine)
        told += here.announce(float(watermarks[end - 1]))
        if restart:
            for key, blob in here.delta().items():
                state.pop(key, None)
                state |= {} if blob is None else {key: blob}
            here = collector()
            here.restore(state)
    return told + here.announce(1e9)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3)), min_size=1, max_size=60),
    st.lists(st.integers(0, 60), max_size=5),
    st.booleans(),
)
def test_cuts_and_restarts_change_nothing(rows: list[tuple[int, int]], cuts: list[int], restart: bool) -> None:
    assert fed(batch(rows), cuts, restart=restart) == fed(batch(rows), [])


def test_it_tells_the_strongest_of_each_account_and_detector_and_who_was_there() -> None:
    here, rows = collector(), batch([(0, 0), (1, 0), (2, 1), (3, 3), (4, 2)])
    told = [(0, suspicion("client:a", 30.0, 0.0)), (1, suspicion("client:a", 25.0, 0.0, ts=1.0))]
    here.absorb(rows, rows.ts, [*told, (4, suspicion("client:anonymous", 1e9, 0.0))])
    ((partition, index, number, news),) = said(here.announce(13.0))
    assert (partition, index, number) == (3, 0, 0)
    assert news.suspicions == [told[0][1]]
    assert count(news.active) == 3  # who is anonymous is many people
    assert here.announce(100.0) == []


def test_late_rows_are_left_out() -> None:
    here, rows = collector(), batch([(100, 0), (1, 1)])
    here.absorb(rows, np.array([100.0, 100.0]), [(1, suspicion("client:b", 30.0, 1.0))])
    ((_, index, _, news),) = said(here.announce(1e9))
    assert (index, news.suspicions, count(news.active)) == (10, [], 1)


def test_idle_tells_what_is_open_once_and_keeps_it() -> None:
    here, rows = collector(), batch([(0, 0)])
    here.absorb(rows, rows.ts, raised(rows))
    first = here.announce(0.0, idle=True)
    assert said(first)[0][3].suspicions
    assert here.announce(0.0, idle=True) == []
    assert here.announce(13.0) == first


def test_many_suspicions_are_told_in_pieces() -> None:
    here, rows = collector(), batch([(0, 0)])
    here.absorb(rows, rows.ts, [(0, suspicion(f"client:{i}", 30.0, 0.0)) for i in range(2500)])
    pieces = said(here.announce(13.0))
    assert [number for _, _, number, _ in pieces] == [0, 1, 2]
    assert sum(len(news.suspicions) for *_, news in pieces) == 2500
    assert [len(news.heads) for *_, news in pieces] == [8, 0, 0]


@pytest.mark.parametrize("other", ["another", ""])
def test_windows_of_another_baseline_are_dropped(other: str) -> None:
    here, rows = collector(), batch([(0, 0)])
    here.absorb(rows, rows.ts, raised(rows))
    state = {key: blob for key, blob in here.delta().items() if blob is not None}
    there = collector(plan_of(other))
    there.restore(state)
    assert there.announce(1e9) == []
    assert there.delta() == dict.fromkeys(state)


def plan_of(baseline: str) -> WindowPlan:
    return WindowPlan({}, 10.0, 3.0, 0, {}, baseline=baseline)
