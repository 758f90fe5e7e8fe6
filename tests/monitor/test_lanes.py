"""Lanes: whose state is loaded when, and that nothing is acknowledged before it is safe."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from monitor.state import StateTakenError
from monitor.store import Store
from tests.monitor.lane_kit import Worker, cover, kafka_batch


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "vedette.db")
    yield opened
    opened.close()


async def stored(store: Store, partition: int = 0) -> tuple[list[int], int]:
    """What the next owner finds."""
    lane = await Worker(store).lane(partition)
    return lane.state.offsets, lane.next_offset


async def test_what_was_checkpointed_is_what_the_next_owner_begins_with(store: Store) -> None:
    worker = Worker(store)
    lane = await worker.lane()
    cover(lane, kafka_batch([0, 1]))
    await worker.lanes.checkpoint(lane, now=True)
    cover(lane, kafka_batch([2, 5]))
    await worker.lanes.checkpoint_all(now=True)
    assert worker.told == [("events/0", 0), ("events/0", 2), ("events/0", 6)]
    assert await stored(store) == ([0, 1, 2, 5], 6)


async def test_a_scope_without_state_begins_where_the_group_has_read_to(store: Store) -> None:
    """And says so; the group is asked only where nothing was ever saved."""
    worker = Worker(store, {0: 7})
    with capture_logs() as logs:
        assert (await worker.lane(0)).next_offset == 7
        assert (await worker.lane(1)).next_offset == 0
    assert [(entry["scope"], entry["at"]) for entry in logs] == [("events/0", 7)]
    assert worker.asked == [0, 1]
    # owned once, and never saved: as fresh as before
    heir = Worker(store, {0: 9})
    lane = await heir.lane(0)
    assert lane.next_offset == 9
    cover(lane, kafka_batch([9]))
    await heir.lanes.checkpoint(lane, now=True)
    last = Worker(store, {0: 100})
    assert (await last.lane(0)).next_offset == 10
    assert last.asked == []


async def test_a_checkpoint_comes_when_it_is_due_or_asked_for(store: Store) -> None:
    acked: list[int] = []
    patient, eager = Worker(store), Worker(store, checkpoint_s=0.0)
    lane = await patient.lane(0)
    cover(lane, kafka_batch([0], acked))
    await patient.lanes.checkpoint(lane)
    await patient.lanes.checkpoint_all()
    assert acked == []
    await patient.lanes.checkpoint(lane, now=True)
    assert acked == [0]
    other = await eager.lane(1)
    cover(other, kafka_batch([0, 1], acked, 1))
    await eager.lanes.checkpoint(other)
    assert acked == [0, 0, 1]
    await eager.lanes.checkpoint_all(now=True)  # nothing has changed
    assert eager.told == [("events/1", 0), ("events/1", 2)]


async def test_partitions_that_go_while_they_are_loaded_are_nobodys(store: Store) -> None:
    worker = Worker(store)
    worker.states.gate.clear()
    worker.lanes.assign({0, 1})
    waiting = asyncio.create_task(worker.lanes.get(0))
    await worker.states.waiting.wait()
    assert worker.lanes.loading == 2
    worker.lanes.assign({1})
    assert await waiting is None
    assert await worker.lanes.get(0) is None
    worker.states.gate.set()
    lane = await worker.lanes.get(1)
    assert lane is not None
    assert (worker.lanes.loading, worker.lanes.loaded(), worker.told) == (0, [lane], [("events/1", 0)])


async def test_a_partition_that_goes_and_comes_back_is_loaded_anew(store: Store) -> None:
    """Also for those who waited for the first load: what they hold belongs to the former assignment."""
    worker = Worker(store)
    worker.states.gate.clear()
    worker.lanes.assign({0})
    waiting = asyncio.create_task(worker.lanes.get(0))
    await worker.states.waiting.wait()
    worker.lanes.assign(())
    worker.lanes.assign({0})
    assert await waiting is None
    worker.states.gate.set()
    first = await worker.lanes.get(0)
    assert first is not None
    cover(first, kafka_batch([0]))
    worker.lanes.assign(())
    second = await worker.lane(0)
    assert second is not first
    assert second.state.offsets == []
    assert not worker.lanes.owns(first)
    worker.lanes.assign({0, 1})
    assert await worker.lanes.get(0) is second  # what stays is not touched


async def test_a_lane_that_is_gone_is_not_saved(store: Store) -> None:
    acked: list[int] = []
    worker = Worker(store)
    lane = await worker.lane()
    cover(lane, kafka_batch([0], acked))
    worker.lanes.assign(())
    await worker.lanes.checkpoint(lane, now=True)
    await worker.lanes.checkpoint_all(now=True)
    assert acked == []
    assert await stored(store) == ([], 0)


async def test_a_lane_that_another_worker_has_taken_cannot_be_saved(store: Store) -> None:
    acked: list[int] = []
    old, new = Worker(store), Worker(store)
    lane = await old.lane()
    cover(lane, kafka_batch([0], acked))
    await new.lane()
    with pytest.raises(StateTakenError):
        await old.lanes.checkpoint(lane, now=True)
    assert acked == []


async def test_a_load_that_fails_is_raised_to_whoever_asks(tmp_path: Path) -> None:
    store = Store(tmp_path / "vedette.db")
    worker = Worker(store)
    store.close()
    worker.lanes.assign({0})
    with pytest.raises(sqlite3.Error):
        await worker.lanes.get(0)
    with pytest.raises(sqlite3.Error):  # the timer comes by even where no record does
        await worker.lanes.checkpoint_all()


async def test_records_are_acknowledged_in_order_by_the_checkpoint_that_holds_them(store: Store) -> None:
    """What comes while a checkpoint is written waits for the next."""
    acked: list[int] = []
    worker = Worker(store)
    lane = await worker.lane()
    cover(lane, kafka_batch([0, 1], acked))
    cover(lane, kafka_batch([2], acked))
    worker.states.gate.clear()
    saving = asyncio.create_task(worker.lanes.checkpoint(lane, now=True))
    await worker.states.waiting.wait()
    cover(lane, kafka_batch([3], acked))
    again = asyncio.create_task(worker.lanes.checkpoint(lane, now=True))
    assert acked == []
    worker.states.gate.set()
    await saving
    assert acked[:3] == [0, 1, 2]
    await again
    assert acked == [0, 1, 2, 3]
    assert await stored(store) == ([0, 1, 2, 3], 4)


async def test_a_send_that_fails_acknowledges_nothing_from_then_on(store: Store) -> None:
    """The worker crashes; whatever else still runs in it must not save what comes after a hole."""
    acked: list[int] = []
    worker = Worker(store)
    lane = await worker.lane()
    cover(lane, kafka_batch([0], acked))
    await worker.lanes.checkpoint(lane, now=True)
    refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    refused.set_exception(OSError("refused"))
    cover(lane, kafka_batch([1], acked))
    lane.await_before_saving([refused])
    with pytest.raises(OSError, match="refused"):
        await worker.lanes.checkpoint(lane, now=True)
    cover(lane, kafka_batch([2], acked))
    with pytest.raises(RuntimeError, match="events/0"):
        await worker.lanes.checkpoint_all(now=True)
    assert acked == [0]
    assert await stored(store) == ([0], 1)


async def test_a_checkpoint_that_was_cancelled_is_not_followed_by_another(store: Store) -> None:
    acked: list[int] = []
    worker = Worker(store)
    lane = await worker.lane()
    cover(lane, kafka_batch([0], acked))
    worker.states.gate.clear()
    saving = asyncio.create_task(worker.lanes.checkpoint(lane, now=True))
    await worker.states.waiting.wait()
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving
    worker.states.gate.set()
    cover(lane, kafka_batch([1], acked))
    with pytest.raises(RuntimeError, match="not completed"):
        await worker.lanes.checkpoint(lane, now=True)
    assert acked == []
    assert await stored(store) == ([], 0)
