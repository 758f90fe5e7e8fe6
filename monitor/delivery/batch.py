"""A batch, as the consumer sees it (a Faust message) and as an agent does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

from faust.exceptions import ImproperlyConfigured
from faust.types import TP, ConsumerMessage, StreamT
from faust.types.tuples import ack_lock

from monitor.delivery.unpack import Record


class Fetched(NamedTuple):
    """The records that one fetch brought of one partition; never empty."""

    records: list[Record]
    generation: int
    epoch: int

    @property
    def first_offset(self) -> int:
        return int(self.records[0].offset)


class BatchMessage(ConsumerMessage):
    """One Faust message for many records. Its offset is the last one's: what hangs on it waits for the whole batch."""

    __slots__ = ("dropped", "first_offset", "held", "next_offset", "records", "taken_in")

    def __init__(self, tp: TP, fetched: Fetched) -> None:
        last = fetched.records[-1]
        super().__init__(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            None,
            None,
            None,
            None,
            tp=tp,
            generation_id=fetched.generation,
        )
        self.records = fetched.records
        self.first_offset = fetched.first_offset
        self.next_offset = int(last.offset) + 1
        self.dropped = False
        #: the batch before it, which was still waiting, has its records
        self.taken_in = False
        #: how many agents have it in their hands
        self.held = 0

    @property
    def queued(self) -> bool:
        """Does it wait for its agents, and has none of them taken it?"""
        return self.refcount > 0 and not self.tracked and not self.dropped

    def grow(self, fetched: Fetched) -> None:
        """Take in the records that follow, in place: the event around it was given this very list."""
        last = fetched.records[-1]
        self.records += fetched.records
        self.offset, self.timestamp = last.offset, last.timestamp / 1000.0
        self.next_offset = int(last.offset) + 1

    def lost(self) -> bool:
        """Did it miss an agent? To be asked when the agents' queues were emptied."""
        return self.refcount == 0 or self.held < self.refcount


class RecordBatch:
    """Records of one partition in the order of their offsets; acknowledge it once they are dealt with."""

    __slots__ = ("_acked", "_consumer", "_message")

    def __init__(self, message: BatchMessage, consumer: Any) -> None:
        self._message = message
        self._consumer = consumer
        self._acked = False
        message.held += 1

    @property
    def tp(self) -> TP:
        """Topic and partition."""
        return self._message.tp

    @property
    def records(self) -> Sequence[Record]:
        """Bytes, as they came: offset, key, value, headers, timestamp (ms). At least one; offsets ascend, with gaps."""
        return self._message.records

    @property
    def next_offset(self) -> int:
        """One past the last record: what is committed once this batch and all before it are acknowledged."""
        return self._message.next_offset

    @property
    def generation(self) -> int | None:
        """The consumer group's generation that it was fetched in."""
        return self._message.generation_id

    @property
    def stale(self) -> bool:
        """Was the partition revoked, or its position moved, since? Its records come again, here or elsewhere."""
        return self._message.dropped

    def ack(self) -> bool:
        """Let its offsets be committed: True if it was not stale and no other agent still has to."""
        with ack_lock:
            if self._acked:
                return False
            self._acked = True
            self._message.held -= 1
            return self._message.ack(self._consumer)

    def __repr__(self) -> str:
        message = self._message
        return f"<RecordBatch: {message.tp} offsets {message.first_offset}..{message.next_offset - 1}>"


async def batches(stream: StreamT[Any]) -> AsyncIterator[RecordBatch]:
    """The batches of a stream over a batch topic, in order. Nothing is acknowledged but by ``RecordBatch.ack``."""
    consumer = stream.app.consumer
    source: Any = stream  # its declared type lacks ``noack``
    async for event in source.noack().events():
        message = event.message
        if not isinstance(message, BatchMessage):
            raise ImproperlyConfigured(f"batches() needs a stream over app.batch_topic(...); {message!r} is no batch")
        if message.dropped:
            message.ack(consumer)  # nothing waits for it; no offset hangs on it
            continue
        yield RecordBatch(message, consumer)
