"""Handing a lane over: what is loaded again after a rebalance; a scope is never saved and loaded at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from monitor.lanes import Lane, Lanes
from monitor.metrics import Metrics
from monitor.state import Changes, Saved


class Memory:
    """A partition's state: it counts."""

    def __init__(self, saved: Mapping[str, bytes]) -> None:
        self.n = int(saved.get("n", b"0"))

    def delta(self) -> dict[str, bytes | None]:
        return {"n": str(self.n).encode()}


class Records:
    def __init__(self) -> None:
        self.acked = False

    def ack(self) -> None:
        self.acked = True


class Slow:
    """A store whose saves wait for ``may_save``; it notes what begins and ends."""

    def __init__(self) -> None:
        self.saved = Saved()
        self.log: list[str] = []
        self.saves = asyncio.Event()
        self.may_save = asyncio.Event()
        self.may_save.set()

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def load(self, scope: str, partition: int) -> Saved:
        self.log.append("load")
        return Saved(dict(self.saved.values), self.saved.next_offset)

    async def save(self, scope: str, changes: Changes, next_offset: int) -> int:
        self.log.append("save")
        self.saves.set()
        await self.may_save.wait()
        self.saved = Saved({k: v for k, v in changes.items() if v is not None}, next_offset)
        self.log.append("saved")
        return 1


async def _nothing(_partition: int) -> None:
    """Nothing was read before."""


def lanes_on(store: Slow) -> Lanes[Memory]:
    return Lanes(
        "events",
        store,
        Metrics(),
        lambda _, saved: Memory(saved.values),
        begin=_nothing,
        checkpoint_s=0.0,
        saved=_told,
    )


async def _told(_lane: object, _loaded: bool) -> None:
    pass


async def owned(lanes: Lanes[Memory]) -> Lane[Memory]:
    lane = await lanes.get(0)
    assert lane is not None
    return lane


def learn(lane: Lane[Memory], next_offset: int) -> Records:
    lane.state.n += 1
    records = Records()
    lane.cover(records, next_offset)
    return records


async def test_what_stays_is_kept_unless_somebody_else_may_have_owned_it() -> None:
    store = Slow()
    lanes = lanes_on(store)
    lanes.assign([0])
    first = await owned(lanes)
    lanes.assign([0, 1])
    assert await owned(lanes) is first
    store.saved = Saved({"n": b"7"}, 70)  # by somebody else
    lanes.assign([0, 1], keep=False)
    again = await owned(lanes)
    assert (again.state.n, again.next_offset) == (7, 70)
    assert not lanes.owns(first)


async def test_a_lane_is_not_loaded_while_its_last_checkpoint_is_being_saved() -> None:
    store = Slow()
    lanes = lanes_on(store)
    lanes.assign([0])
    lane = await owned(lanes)
    records = learn(lane, 10)
    store.may_save.clear()
    saving = asyncio.create_task(lanes.checkpoint(lane, now=True))
    await asyncio.sleep(0)
    lanes.assign([])
    lanes.assign([0])
    learn(lane, 20)  # its reader does not know yet
    late = asyncio.create_task(lane.checkpoint(store))
    await asyncio.sleep(0)
    store.may_save.set()
    again = await owned(lanes)
    await asyncio.gather(saving, late)
    assert store.log == ["load", "save", "saved", "load"]
    assert records.acked
    assert (again.state.n, again.next_offset) == (1, 10)


async def test_a_lane_with_something_unsaved_is_not_quiet() -> None:
    store = Slow()
    lanes = lanes_on(store)
    lanes.assign([0])
    lane = await owned(lanes)
    assert lane.quiet
    learn(lane, 10)
    assert not lane.quiet
    store.may_save.clear()
    saving = asyncio.create_task(lanes.checkpoint(lane, now=True))
    await store.saves.wait()
    assert not lane.quiet
    store.may_save.set()
    await saving
    assert lane.quiet
