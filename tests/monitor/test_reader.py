"""The reader: every record once and in order, whatever the delivery gives twice or leaves out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from monitor.codec.limits import Limits
from monitor.intake import take
from monitor.lanes import Lane
from monitor.reader import Batch, Reader
from monitor.store import Store
from tests.monitor.lane_kit import KafkaBatch, Seen, Worker, kafka_batch


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "vedette.db")
    yield opened
    opened.close()


class Reading:
    """A reader over lanes; ``log`` is the topic's partitions, which a seek reads again from the offset on."""

    def __init__(self, store: Store, checkpoint_s: float = 0.0) -> None:
        self.worker = Worker(store, checkpoint_s=checkpoint_s)
        self.reader: Reader[Seen] = Reader(self.worker.lanes, self._handle, self._seek)
        self.patient = checkpoint_s > 0.0
        self.sought: list[tuple[int, int]] = []
        self.acked: list[int] = []
        self.worker.lanes.assign({0})

    async def read(self, *batches: Sequence[int], partition: int = 0) -> None:
        async def source() -> AsyncIterator[KafkaBatch]:
            for offsets in batches:
                yield kafka_batch(offsets, self.acked, partition)

        await self.reader.run(source())
        if not self.patient:
            await self.worker.lanes.checkpoint_all(now=True)  # waits for the one under way

    async def seen(self) -> list[int]:
        lane = await self.worker.lanes.get(0)
        assert lane is not None
        return lane.state.offsets

    async def _handle(self, lane: Lane[Seen], batch: Batch) -> None:
        taken = take("t", lane.partition, batch.records, lane.next_offset, Limits(), None)
        lane.state.take([letter.record.offset for letter in taken.dead])  # the values are no events
        lane.cover(batch, taken.next_offset)

    async def _seek(self, partition: int, offset: int) -> None:
        self.sought.append((partition, offset))


async def test_batches_in_order_are_handled_and_acknowledged(store: Store) -> None:
    reading = Reading(store)
    await reading.read([0, 1], [2], [3, 4])
    assert await reading.seen() == reading.acked == [0, 1, 2, 3, 4]
    assert reading.sought == []


async def test_records_that_the_state_holds_are_left_out(store: Store) -> None:
    """Overlaps and repetitions are acknowledged, too: their offsets may be committed."""
    reading = Reading(store)
    await reading.read([0, 1, 2], [1, 2], [2, 3])
    assert await reading.seen() == [0, 1, 2, 3]
    assert reading.acked == [0, 1, 2, 1, 2, 2, 3]
    again = Reading(store)
    await again.read([0, 1, 2, 3, 4])
    assert await again.seen() == [0, 1, 2, 3, 4]


async def test_a_gap_that_was_the_deliverys_is_read_after_a_seek(store: Store) -> None:
    """What lies beyond it is neither handled nor acknowledged until then."""
    reading = Reading(store)
    await reading.read([0], [3, 4])
    assert (reading.sought, await reading.seen(), reading.acked) == ([(0, 1)], [0], [0])
    await reading.read([1, 2, 3, 4], [5])
    assert (reading.sought, await reading.seen()) == ([(0, 1)], [0, 1, 2, 3, 4, 5])


async def test_a_gap_that_shows_again_is_real(store: Store) -> None:
    """Compaction, transaction markers, retention: one seek for each gap."""
    reading = Reading(store)
    await reading.read([5], [5, 6], [9], [9])
    assert reading.sought == [(0, 0), (0, 7)]
    assert await reading.seen() == [5, 6, 9]


async def test_after_a_rebalance_a_gap_is_doubted_again(store: Store) -> None:
    reading = Reading(store)
    await reading.read([0], [3])
    reading.reader.reassigned()
    await reading.read([3])
    assert reading.sought == [(0, 1), (0, 1)]
    await reading.read([1, 2, 3])
    assert await reading.seen() == [0, 1, 2, 3]


async def test_a_batch_of_a_partition_that_is_not_ours_is_left_alone(store: Store) -> None:
    reading = Reading(store)
    await reading.read([0, 1], partition=1)
    assert (reading.acked, reading.sought) == ([], [])


async def test_checkpoints_come_between_batches_when_they_are_due(store: Store) -> None:
    reading = Reading(store, checkpoint_s=1e9)
    await reading.read([0], [1])
    assert reading.acked == []
    await reading.worker.lanes.checkpoint_all(now=True)
    assert reading.acked == [0, 1]


async def test_records_are_read_on_while_a_checkpoint_is_written(store: Store) -> None:
    """What comes meanwhile is in the state, and not acknowledged before the next checkpoint."""
    reading = Reading(store, checkpoint_s=60.0)
    lane = await reading.worker.lane()
    lane.saved_s -= 60.0
    reading.worker.states.gate.clear()
    await reading.read([0], [1])
    await reading.worker.states.waiting.wait()
    await reading.read([2], [3])
    assert await reading.seen() == [0, 1, 2, 3]
    assert reading.acked == []
    reading.worker.states.gate.set()
    await reading.worker.lanes.checkpoint_all(now=True)
    assert reading.acked == [0, 1, 2, 3]


async def test_a_checkpoint_that_takes_longer_than_they_are_apart_is_waited_for(store: Store) -> None:
    """What is not safe yet does not pile up."""
    reading = Reading(store)
    await reading.worker.lane()
    reading.worker.states.gate.clear()
    under_way = asyncio.create_task(reading.read([0], [1], [2]))
    await reading.worker.states.waiting.wait()
    for _ in range(50):
        await asyncio.sleep(0)
    assert await reading.seen() == [0, 1]
    reading.worker.states.gate.set()
    await under_way
    assert await reading.seen() == reading.acked == [0, 1, 2]


@pytest.mark.parametrize("noticed_by", ["reader", "timer"])
async def test_a_checkpoint_that_fails_in_the_background_ends_the_worker(store: Store, noticed_by: str) -> None:
    reading = Reading(store)
    reading.patient = True
    lane = await reading.worker.lane()
    refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    refused.set_exception(OSError("refused"))
    lane.await_before_saving([refused])
    await reading.read([0])
    await lane.close()  # until it has ended
    again = reading.read([1]) if noticed_by == "reader" else reading.worker.lanes.checkpoint_all()
    with pytest.raises(OSError, match="refused"):
        await again


async def test_last_records_that_got_lost_are_read_again_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """No later record shows the gap; that the consumer has moved on does. What is no record there is sought once."""
    reading = Reading(store)
    end: int | None = None

    async def handed_out(_partition: int) -> int | None:
        return end

    await reading.read([0, 1])
    monkeypatch.setattr("monitor.reader._PATIENCE_S", 0.0)
    await reading.reader.look_back(handed_out)  # the consumer is not there yet
    end = 2
    await reading.reader.look_back(handed_out)  # all is here
    assert reading.sought == []
    end = 4
    await reading.reader.look_back(handed_out)
    await reading.reader.look_back(handed_out)
    assert reading.sought == [(0, 2)]
    await reading.read([2, 3])
    assert await reading.seen() == [0, 1, 2, 3]


async def test_a_lane_that_has_just_received_something_is_left_alone(store: Store) -> None:
    reading = Reading(store)

    async def handed_out(_partition: int) -> int | None:
        return 9

    await reading.read([0, 1])
    await reading.reader.look_back(handed_out)
    assert reading.sought == []
