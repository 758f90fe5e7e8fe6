"""When a partition is said to be idle, so that windows close without it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from monitor import app_events
from monitor.app_events import Events
from monitor.lanes import Lane, Lanes
from monitor.layout import Layout
from monitor.metrics import Metrics
from monitor.settings import Overload as OverloadSettings
from monitor.shares import Message
from monitor.state import Saved

IDLE_S = 20.0
EVERY_S = IDLE_S / 4


class Partition:
    """Stands for a pipeline; notes that it was asked to speak."""

    def __init__(self) -> None:
        self.idle = 0

    def delta(self) -> dict[str, bytes | None]:
        return {}

    def announce(self, *, idle: bool = False) -> list[Message]:
        self.idle += idle
        return []

    def announce_bands(self, *, idle: bool = False) -> list[Message]:
        assert idle
        return []


class NoStore:
    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def load(self, scope: str, partition: int) -> Saved:
        return Saved()

    async def save(self, scope: str, changes: object, next_offset: int) -> int:
        return 0


class Consumer:
    """Has read partition 0 to its end."""

    def assignment(self) -> set[TP]:
        return {TP("events", 0)}

    def highwater(self, tp: TP) -> int:
        return 10

    async def position(self, tp: TP) -> int:
        return 10


class Clock:
    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(app_events, "time", clock)
    return clock


async def _nothing(*_: object) -> None:
    """Nothing was read before."""


async def watched(clock: Clock) -> tuple[Events, Lanes[Any], Lane[Any]]:
    app: Any = SimpleNamespace(topic=lambda *_, **__: None, consumer=Consumer())
    service: Any = SimpleNamespace(metrics=Metrics())
    layout = Layout("events", 1, 1, 1, 1, 1)
    events = Events(
        app,
        layout,
        service,
        dead_letters="dead",
        windows="windows",
        bands="bands",
        idle_s=IDLE_S,
        overload=OverloadSettings(),
    )
    lanes: Lanes[Any] = Lanes(
        "events", NoStore(), Metrics(), lambda *_: Partition(), begin=_nothing, checkpoint_s=0.0, saved=_nothing
    )
    lanes.assign([0])
    lane = await lanes.get(0)
    assert lane is not None
    lane.touched_s = clock.now_s
    return events, lanes, lane


async def look(events: Events, lanes: Lanes[Any], clock: Clock, for_s: float) -> None:
    end_s = clock.now_s + for_s
    while clock.now_s < end_s:
        clock.now_s += EVERY_S
        await events.look_around(lanes)


async def test_a_silent_partition_is_idle(clock: Clock) -> None:
    events, lanes, lane = await watched(clock)
    await look(events, lanes, clock, IDLE_S - EVERY_S)
    assert lane.state.idle == 0
    await look(events, lanes, clock, EVERY_S)
    assert lane.state.idle == 1


async def test_a_worker_that_was_frozen_has_not_listened(clock: Clock) -> None:
    """Another may own its partitions by now; if not, records may be waiting at the broker."""
    events, lanes, lane = await watched(clock)
    await look(events, lanes, clock, EVERY_S)
    clock.now_s += 2 * IDLE_S
    await events.look_around(lanes)
    assert lane.state.idle == 0
    await look(events, lanes, clock, IDLE_S)
    assert lane.state.idle == 1


async def test_a_lane_that_cannot_be_saved_is_not_idle(clock: Clock) -> None:
    events, lanes, lane = await watched(clock)
    lane.dirty = True
    await look(events, lanes, clock, 2 * IDLE_S)
    assert lane.state.idle == 0
    lane.dirty = False
    await look(events, lanes, clock, EVERY_S)
    assert lane.state.idle == 1
