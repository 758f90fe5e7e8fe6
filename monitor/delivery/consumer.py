"""Faust's aiokafka consumer, with one message for all records that a fetch brings of a partition.

Faust may lose what it has fetched: it empties the agents' queues when flow resumes, gives up a message that waits for
room when flow stops, and skips records of a paused partition. For batch topics the consumer finds such losses and
moves the partition's log position back, just before the next fetch and nowhere else, so that an agent never sees a
batch before the one that precedes it in the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from aiokafka.errors import IllegalStateError
from faust.exceptions import ImproperlyConfigured
from faust.transport.consumer import ensure_TP
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP, ConsumerMessage, Message
from faust.types.transports import TPorTopicSet
from faust.types.tuples import ack_lock
from mode.utils.futures import notify

from monitor.delivery.batch import BatchMessage, Fetched
from monitor.delivery.progress import Progress
from monitor.delivery.thread import BatchConsumerThread
from monitor.delivery.topic import BatchTopic


class BatchConsumer(Consumer):
    """A consumer that keeps the book of batch topics itself; all others are Faust's."""

    _thread: BatchConsumerThread

    def __init__(self, *args: Any, **options: Any) -> None:
        self._progress: dict[TP, Progress] = {}
        #: positions to move to before the next fetch
        self._moves: dict[TP, int] = {}
        #: fetched, and not yet made into messages
        self._fetched: dict[TP, Fetched] = {}
        #: an agent has room again
        self._room = asyncio.Event()
        super().__init__(*args, **options)
        self._hand_on = self.callback
        self.callback = self._unless_taken_in  # type: ignore[assignment]  # Faust hands it what _to_message makes

    @property
    def batch_topics(self) -> set[str]:
        return cast(Any, self.app).batch_topics  # type: ignore[no-any-return]  # a BatchApp has them

    def epoch(self, tp: TP, generation: int | None) -> int:
        """How often the partition's position was moved in this generation. Called by the consumer thread, too."""
        progress = self._progress.get(tp)
        return progress.epoch if progress is not None and progress.generation == generation else 0

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def subscribe(self, topics: Iterable[str]) -> None:
        for channel in self.app.topics:
            mixed = self.batch_topics.intersection(channel.topics)
            if mixed and not isinstance(channel, BatchTopic):
                raise ImproperlyConfigured(f"read both in batches and one by one: {', '.join(sorted(mixed))}")
        await super().subscribe(topics)

    # fetching

    async def _getmany(
        self,
        active_partitions: set[TP] | None,
        timeout: float,  # noqa: ASYNC109 (Faust passes it)
    ) -> Mapping[TP, Any]:
        for tp, fetched in self._fetched.items():
            if self._in_place(tp, fetched):  # Faust passed it over: flow had stopped, or the partition was paused
                self._moves[tp] = fetched.first_offset
        self._fetched.clear()
        await self._move()
        records = await super()._getmany(active_partitions, timeout)
        self._fetched = {tp: found[0] for tp, found in records.items() if tp.topic in self.batch_topics}
        return records

    async def _wait_next_records(
        self,
        timeout: float,  # noqa: ASYNC109 (Faust passes it)
    ) -> tuple[Any, set[TP] | None]:
        """Faust looks once a second whether agents have room again for partitions that it stopped reading."""
        if self.flow_active and self._buffered_partitions and not self._get_active_partitions():
            self._room.clear()
            await self.wait_for_stopped(self._room.wait(), timeout=timeout)
        return await super()._wait_next_records(timeout)

    def on_buffer_drop(self, tp: TP) -> None:
        super().on_buffer_drop(tp)  # adds it to the very set that a fetch under way looks into
        self._room.set()
        self._thread.look_again()

    async def _move(self) -> None:
        if not self._moves:
            return
        assigned = self.assignment()
        moves = {tp: offset for tp, offset in self._moves.items() if tp in assigned}
        self._moves.clear()
        try:
            await super().seek_wait(moves)
        except IllegalStateError:  # revoked meanwhile: a new assignment starts from the committed offsets
            self.log.info("Partitions were revoked before their positions could be moved: %r", moves)

    def _in_place(self, tp: TP, fetched: Fetched) -> bool:
        """Do these records follow the last ones delivered?"""
        return (
            fetched.generation == self.app.consumer_generation_id
            and fetched.epoch == self.epoch(tp, fetched.generation)
            and tp not in self._moves
        )

    async def _unless_taken_in(self, message: ConsumerMessage) -> None:
        if not (isinstance(message, BatchMessage) and message.taken_in):
            await self._hand_on(message)

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        if not isinstance(record, Fetched):
            return super()._to_message(tp, record)
        tp = ensure_TP(tp)
        self._fetched.pop(tp, None)
        message = BatchMessage(tp, record)
        if not self._in_place(tp, record):
            message.dropped = True
            return message
        progress = self._progress.get(tp)
        if progress is None or progress.generation != record.generation:
            progress = self._progress[tp] = Progress(record.generation)
        last = cast("BatchMessage | None", progress.last)
        most = self.app.conf.broker_max_poll_records or 0
        if last is not None and last.queued and len(last.records) + len(record.records) <= most:
            last.grow(record)
            progress.grown()
            message.taken_in = True
        else:
            progress.deliver(message)
        return message

    # positions

    async def seek(self, partition: TP, offset: int) -> None:
        """Read on from ``offset``: batches already delivered become stale, and count as given up."""
        await super().seek(partition, offset)
        self._begin_at({partition: offset})

    async def _seek(self, partition: TP, offset: int) -> None:
        if partition.topic not in self.batch_topics:  # they are moved before the next fetch, in aiokafka's own thread
            await super()._seek(partition, offset)

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        await super().seek_wait(partitions)
        self._begin_at(partitions)

    def _begin_at(self, positions: Mapping[TP, int]) -> None:
        generation = self.app.consumer_generation_id
        for tp, offset in positions.items():
            if tp.topic in self.batch_topics:
                self._progress.setdefault(tp, Progress(generation)).move(offset)
                self._moves[tp] = offset

    async def perform_seek(self) -> None:
        """Go to the committed offsets; in batch topics, to the first record that no agent has received."""
        try:
            await super().perform_seek()
        finally:
            for tp, progress in self._progress.items():
                if (position := progress.again()) is not None:
                    self._moves.setdefault(tp, position)

    def resume_flow(self) -> None:
        """Faust has just emptied the agents' queues: what was in them is read again."""
        super().resume_flow()
        for tp, progress in self._progress.items():
            if (position := progress.take_back_lost()) is not None:
                self._moves[tp] = position

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        if not (self.app.conf.stream_wait_empty or self.app.should_stop):
            await self.commit(revoked)  # Faust does so only where it waits for the agents
        await super().on_partitions_revoked(revoked)  # waits for the agents, and commits what they acknowledge
        for tp in revoked:
            self._moves.pop(tp, None)
            if (progress := self._progress.pop(tp, None)) is not None:
                progress.move(None)

    # acknowledging

    def ack(self, message: Message) -> bool:
        if not isinstance(message, BatchMessage):
            return super().ack(message)
        with ack_lock:
            if message.acked:
                return False
            message.acked = True
            self._unacked_messages.discard(message)
            self._n_acked += 1
            notify(self._waiting_for_ack)
            return not message.dropped

    def _filter_tps_with_pending_acks(self, topics: TPorTopicSet | None = None) -> Iterator[TP]:
        yield from (tp for tp in super()._filter_tps_with_pending_acks(topics) if tp not in self._progress)
        yield from (tp for tp in self._progress if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        if tp.topic not in self.batch_topics:
            return super()._new_offset(tp)
        # Faust's compiled stream iterator acknowledges past ``ack``; its notes are of no use here.
        self._acked.pop(tp, None)
        self._acked_index.pop(tp, None)
        progress = self._progress.get(tp)
        return progress.safe_offset() if progress is not None else None

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        if tp.topic not in self.batch_topics:
            await super()._add_gap(tp, offset_from, offset_to)


class BatchTransport(Transport):
    """The aiokafka transport with the consumer above."""

    Consumer = BatchConsumer
