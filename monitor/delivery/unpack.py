"""Records as aiokafka's compiled reader gives them, many at a time.

aiokafka passes each record through Python code and copies it into a ``ConsumerRecord`` with its topic, its partition
and the sizes of its parts, which costs twice what it takes to receive, check and read the record.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain, islice
from typing import Any, Protocol

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchResult
from aiokafka.errors import CorruptRecordException


class Record(Protocol):
    """One record, as bytes. ``timestamp``: milliseconds; ``timestamp_type``: 0 for its producer's, 1 for the broker's.

    Of old message formats timestamps may be missing.
    """

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def timestamp_type(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class FetchResults(OrderedDict[TopicPartition, Any]):
    """What aiokafka's fetcher has received and not handed over: in the place of ``Fetcher._records``."""

    def __init__(self, batch_topics: AbstractSet[str], most: int | None) -> None:
        """``most``: records of one partition of a batch topic that are handed over together."""
        super().__init__()
        self._batch_topics = batch_topics
        self._most = most

    def __setitem__(self, tp: TopicPartition, result: Any) -> None:
        """A result or an error. Results of batch topics hand over what the class below reads of them."""
        if tp.topic in self._batch_topics and isinstance(result, FetchResult):
            result.getall = Unpacking(result, self._most).take
        super().__setitem__(tp, result)


class Unpacking:
    """Reads the records of one fetch of one partition."""

    def __init__(self, result: FetchResult, limit: int | None) -> None:
        """``limit``: as many records at most are taken at once, whoever asks for more."""
        self._result: Any = result
        self._limit = limit
        found: Any = result._partition_records
        found._records_iterator = None  # it was not begun; it and ``found`` would hold each other in memory
        self._most: int | None = None
        self._runs = self._unpack(found)

    def take(self, max_records: int | None = None) -> list[Record]:
        """What ``FetchResult.getall`` does: the next records; it moves the position to behind them."""
        result = self._result
        if not result.check_assignment(result._topic_partition) or not result.has_more():
            return []
        limits = [limit for limit in (max_records, self._limit) if limit is not None]
        max_records = min(limits, default=None)
        taken: list[Record] = []
        self._most = max_records
        for run in self._runs:
            taken += run
            if max_records is not None:
                self._most = max_records - len(taken)
                if not self._most:
                    result._update_position()
                    return taken
        result._update_position()
        result._partition_records = None
        return taken

    def _unpack(self, found: Any) -> Iterator[list[Record]]:
        """What ``PartitionRecords`` does, but for runs of at most ``_most`` records.

        What it raises ends it, so that ``take`` then finds the fetch used up: all behind the position is fetched again.
        """
        while found._records.has_next():
            batch = found._records.next_batch()
            if found._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC - {found._tp}")
            # Also where it is a control batch: the markers in those are what tells of aborted transactions.
            aborted = _aborted(found, batch)
            if not aborted and not batch.is_control_batch:
                records = chain(batch)  # the batch itself may be begun but once
                while run := list(islice(records, self._most)):
                    if run[0].offset < found.next_fetch_offset:  # brokers send whole batches
                        run = [record for record in run if record.offset >= found.next_fetch_offset]
                    if run:
                        found.next_fetch_offset = run[-1].offset + 1
                        yield run
            # Compaction keeps a batch's end even where it takes its last records.
            found.next_fetch_offset = batch.next_offset


def _aborted(found: Any, batch: Any) -> bool:
    """Does the batch belong to a transaction that was aborted, and shall those not be read?"""
    if found._isolation_level != READ_COMMITTED or batch.producer_id is None:
        return False
    found._consume_aborted_up_to(batch.base_offset)
    if batch.is_control_batch and found._contains_abort_marker(batch):
        found._aborted_producers.discard(batch.producer_id)
    return bool(batch.is_transactional and batch.producer_id in found._aborted_producers)
