"""Across accounts from fingerprints to decisions: partitions, lanes, order and restarts change nothing."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.finding import Finding
from detectors.registry import ROW_DETECTORS
from monitor.band_rows import QUOTA
from monitor.bands import BandSlot, PartitionBands
from monitor.columns import to_batches
from monitor.core import Core
from monitor.engine import Engine
from monitor.event import Event
from responders.decision import ActionType, Decision
from tests.monitor.small_core import Seen, clean, core, event, spread

START = 1_763_700_000.0
END = START + 120.0
ACCOUNTS = 20


@cache
def traffic(accounts: int = ACCOUNTS, seed: int = 5) -> tuple[Event, ...]:
    """Honest clients, a partner who sends all twice from two accounts, a camera; and one search from many accounts."""
    rng = np.random.default_rng(seed)
    events: list[Event] = []
    target = clean().x[7]
    for i in range(400):
        ts = START + i * 0.1
        row = clean().x[rng.integers(len(clean()), size=1)]
        match i % 4:
            case 0:
                events.append(event(i, ts, f"client:honest-{i % 12}", row))
            case 1:
                events.append(event(i, ts, "client:partner-a", row, id=f"a-{i}"))
                events.append(event(i, ts + 0.01, "client:partner-b", row, id=f"b-{i}"))
            case 2:
                frame = clean().x[3:4] + rng.normal(0, 0.02, (1, 64)).astype(np.float32)
                events.append(event(i, ts, "client:camera", frame))
            case 3:
                near = target[None] + rng.normal(0, 0.0005, (1, 64)).astype(np.float32)
                events.append(event(i, ts, f"client:spread-{i // 4 % accounts}", near))
    return tuple(events)


def only_groups(mode: str = "enforce") -> Core:
    return core(mode, disabled=tuple(kind.info.name for kind in ROW_DETECTORS))


def play(partitions: int, lanes: int, step: int, *, backwards: bool = False, restart: bool = False) -> Seen:
    small, events = only_groups(), traffic()
    return spread(
        small, events, END, partitions=partitions, lanes=lanes, step=step, backwards=backwards, restart=restart
    )


@cache
def expected() -> tuple[list[Finding], list[Decision]]:
    seen = play(1, 1, 10_000)
    return seen.findings, seen.decisions


def test_all_accounts_are_named_and_nobody_honest() -> None:
    found = [f for f in expected()[0] if f.subject.scope == "group"]
    assert len({f.subject.value for f in found}) == 1
    assert set(found[-1].subject.members) == {f"client:spread-{i}" for i in range(ACCOUNTS)}


def test_each_member_is_decided_on_as_a_client_and_once() -> None:
    """A quarantine is a throttle here: a diversion that depends on other partitions could not be replayed."""
    throttled = [d.value for d in expected()[1] if d.type is ActionType.THROTTLE]
    assert sorted(throttled) == sorted(f"spread-{i}" for i in range(ACCOUNTS))
    assert {d.type for d in expected()[1]} == {ActionType.THROTTLE, ActionType.NOTIFY}


@given(
    st.integers(1, 12), st.integers(1, 5), st.sampled_from([7, 40, 10_000]), st.booleans(), st.booleans()
)  # fmt: skip
@settings(max_examples=12)
def test_partitions_lanes_order_and_restarts_change_nothing(
    partitions: int, lanes: int, step: int, backwards: bool, restart: bool
) -> None:
    seen = play(partitions, lanes, step, backwards=backwards, restart=restart)
    assert (seen.findings, seen.decisions) == expected()


@pytest.mark.parametrize("n", [1, 40])
def test_a_client_gives_so_many_rows_and_no_copies(n: int) -> None:
    """The same bytes again are one row; of different ones a window takes ``QUOTA``."""
    small = only_groups()
    bands = PartitionBands(small.window_plan, small.fingerprints, 0)
    rows = clean().x[np.tile(np.arange(n), 3)]
    (batch,) = to_batches([event(i, START + i * 0.01, "client:busy", rows[i : i + 1]) for i in range(len(rows))])
    bands.absorb(batch, batch.ts)
    (slot,) = [said for said in bands.announce(END) if isinstance(said, BandSlot)]
    assert slot.rows == len(rows)
    distinct = len({x.tobytes() for x in rows})
    assert len(slot.entries) == min(distinct, QUOTA)
    assert set(slot.entries.rows["bands"].tolist()) == {0b111}  # pictures are compared in three
    assert set(slot.entries.rows["kept"].tolist()) == {min(distinct, QUOTA)}


def test_the_anonymous_client_is_many_people() -> None:
    small = only_groups()
    bands = PartitionBands(small.window_plan, small.fingerprints, 0)
    (batch,) = to_batches([event(i, START, "client:anonymous", clean().x[i : i + 1]) for i in range(5)])
    bands.absorb(batch, batch.ts)
    (slot,) = [said for said in bands.announce(END) if isinstance(said, BandSlot)]
    assert (slot.rows, len(slot.entries)) == (5, 0)


def test_members_on_the_allowlist_are_left_alone() -> None:
    small = core("enforce", allowed=("spread-3",), disabled=tuple(kind.info.name for kind in ROW_DETECTORS))
    engine = Engine(small, 1)
    engine.assign(0, {})
    engine.step(0, list(traffic()), ticks=[(len(traffic()), END)])
    decided = {d.value for d in engine.close_windows().decisions if d.type is ActionType.THROTTLE}
    assert decided == {f"spread-{i}" for i in range(ACCOUNTS)} - {"spread-3"}


def test_it_can_be_turned_off() -> None:
    off = core("enforce", disabled=("groups", *(kind.info.name for kind in ROW_DETECTORS)))
    engine = Engine(off, 1)
    engine.assign(0, {})
    engine.step(0, list(traffic()), ticks=[(len(traffic()), END)])
    assert [f for f in engine.close_windows().findings if f.subject.scope == "group"] == []
