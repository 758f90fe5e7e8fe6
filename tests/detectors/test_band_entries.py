"""Rows of many clients in one cell: who meets whom, what counts as nothing, and what is remembered."""

from __future__ import annotations

import numpy as np
import pytest
from group_traffic import entries
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.band_entries import (
    BACK,
    EMPTY,
    PER_CLIENT,
    Entries,
    Link,
    decode,
    encode,
    in_order,
    joined,
    meet,
    remember,
)

REACH = (32, 40)


def pairs(links: list[Link]) -> list[tuple[str, str]]:
    return [(link.event, link.earlier_event) for link in links]


def test_near_rows_of_different_clients_meet() -> None:
    rows = entries([1, 1, 1, 2], [0, 31, 32 + 31, 0], ["a", "b", "c", "d"], labels=[0, 1, 1, 0])
    links, loud = meet(rows, EMPTY, REACH, 0.5)
    assert [(link.event, link.earlier_event, link.distance, link.differs) for link in links] == [
        ("e1", "e0", 15.5, True)
    ]
    assert len(loud) == 4


def test_the_same_bytes_are_nothing_and_are_not_remembered() -> None:
    """The second account of a partner who tests two, or everybody's health check; also where a near row is about."""
    rows = entries([1] * 4, [0, 0, 5, 5], ["a", "b", "a", "b"], digests=[7, 7, 8, 8])
    links, loud = meet(rows, EMPTY, REACH, 1.0)
    assert links == []
    assert loud.events.tolist() == ["e0", "e2"]


def test_a_client_near_itself_is_nothing() -> None:
    """A camera whose frames somebody else copies: it was there before."""
    rows = entries([1] * 3, [0, 1, 2], ["camera", "copy", "camera"])
    links, _ = meet(rows, EMPTY, REACH, 1.0)
    assert pairs(links) == [("e1", "e0")]


def test_memory_is_met_as_well() -> None:
    _, old = meet(entries([1, 5], [0, 0], ["a", "a"]), EMPTY, REACH, 1.0)
    links, _ = meet(
        entries([1], [3], ["b"], digests=[99], begin_ts=100.0, prefix="n"), remember(EMPTY, old), REACH, 1.0
    )
    assert pairs(links) == [("n0", "e0")]


def test_whoever_floods_a_cell_pushes_out_its_own_rows() -> None:
    honest = entries([1], [0], ["honest"], digests=[1])
    flood = entries([1] * 500, [3000] * 500, ["flood"] * 500, digests=range(2, 502), begin_ts=1.0, prefix="f")
    memory = remember(remember(EMPTY, honest), flood)
    assert sorted(memory.events, key=len)[0] == "e0"
    assert len(memory) == 1 + PER_CLIENT
    many = entries([1] * 200, [3000] * 200, [f"f{i}" for i in range(200)], digests=range(2, 202), begin_ts=1.0)
    assert len(remember(EMPTY, many)) == BACK


@st.composite
def traffic(draw: st.DrawFn) -> list[Entries]:
    """Three windows of rows of few clients in few cells."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    windows = []
    for w in range(3):
        n = int(rng.integers(1, 60))
        clients = [f"c{c}" for c in rng.integers(0, 6, n)]
        digests = rng.integers(0, 80, n)
        windows.append(
            entries(rng.integers(0, 3, n), digests * 7, clients, digests, begin_ts=w * 60.0, prefix=f"w{w}-")
        )
    return windows


@given(traffic(), st.integers(1, 4), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_neither_partitions_nor_lanes_change_who_meets(windows: list[Entries], lanes: int, random: object) -> None:
    """Clients in any partitions, cells in any lanes, parts in any order."""
    whole, memory = set(), EMPTY
    for window in windows:
        links, loud = meet(in_order(window), memory, REACH, 1.0)
        memory = remember(memory, loud)
        whole |= set(links)
    apart: set[Link] = set()
    for lane in range(lanes):
        memory = EMPTY
        for window in windows:
            mine = window.take(window.cells % lanes == lane)
            parts = [mine.take(mine.who % 2 == p) for p in range(2)]
            random.shuffle(parts)  # type: ignore[attr-defined]  # hypothesis' own Random
            links, loud = meet(in_order(joined([EMPTY, *parts])), memory, REACH, 1.0)
            memory = remember(memory, decode(encode(loud)))
            apart |= set(links)
    assert apart == whole


@given(traffic())
@settings(max_examples=40, deadline=None)
def test_a_memory_made_anew_from_what_has_not_expired_is_the_same(windows: list[Entries]) -> None:
    memory, loud = EMPTY, []
    for window in windows:
        loud.append(meet(in_order(window), memory, REACH, 1.0)[1])
        memory = remember(memory, loud[-1])
    live = memory.take(memory.ts >= 60.0)
    anew = remember(remember(EMPTY, loud[1]), loud[2])
    assert sorted(live.events) == sorted(anew.events)
    assert encode(in_order(live)) == encode(in_order(anew))


@pytest.mark.parametrize("raw", [b"", b"garbage", encode(EMPTY)[:-3]])
def test_damaged_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="no band entries"):
        decode(raw)
