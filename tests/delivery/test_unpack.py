"""Records unpacked many at a time are those that aiokafka unpacks one by one, whatever a fetch holds."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, READ_UNCOMMITTED, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from monitor.delivery.unpack import FetchResults

TOPIC = TopicPartition("events", 0)
_CRC, _ATTRIBUTES = struct.calcsize(">qiib"), struct.calcsize(">qiibI")
_CONTROL = 0x20
_ABORT, _COMMIT = struct.pack(">hh", 0, 0), struct.pack(">hh", 0, 1)
_GZIP = 1


def batch(
    offset: int,
    kept: Sequence[int] = (0, 1, 2),
    *,
    last: int = 2,
    codec: int = 0,
    producer: int | None = None,
    marker: bytes = b"",
) -> bytes:
    """Records at ``offset`` plus each of ``kept``; ``last``: how far it goes, also where compaction took records."""
    transactional = producer is not None
    builder = DefaultRecordBatchBuilder(2, codec, transactional, -1 if producer is None else producer, 0, 0, 1 << 20)
    for i in kept:
        key = marker or (None if i % 3 == 0 else b"k%d" % i)
        value = None if i % 5 == 4 else b"v%d" % (offset + i)
        assert builder.append(i, 1000 + i, key, value, [("h", b"%d" % i)] if i % 2 else [])
    raw = bytearray(builder.build())
    attributes = struct.unpack_from(">h", raw, _ATTRIBUTES)[0] | (_CONTROL if marker else 0)
    struct.pack_into(">hi", raw, _ATTRIBUTES, attributes, last)
    struct.pack_into(">q", raw, 0, offset)
    struct.pack_into(">I", raw, _CRC, calc_crc32c(bytes(raw[_ATTRIBUTES:])))
    return bytes(raw)


def legacy(offset: int, magic: int, codec: int = 0) -> bytes:
    builder = LegacyRecordBatchBuilder(magic, codec, 1 << 20)
    for i in range(3):
        assert builder.append(offset + i, 1000 + i, b"k", b"%d" % i)
    return bytes(builder.build())


class _Place:
    """The position of a partition, as aiokafka's assignment keeps it."""

    active = True
    paused = False

    def __init__(self, position: int) -> None:
        self.position = position

    def state_value(self, _: TopicPartition) -> _Place:
        return self

    def consumed_to(self, position: int) -> None:
        self.position = position


def fetched(raw: bytes, offset: int, level: int, aborted: Sequence[tuple[int, int]]) -> tuple[FetchResult, _Place]:
    records = PartitionRecords(TOPIC, MemoryRecords(raw), list(aborted), offset, None, None, True, level)
    place = _Place(offset)
    return FetchResult(TOPIC, assignment=place, partition_records=records, backoff=0), place


def until_empty(result: FetchResult, place: _Place, most: int | None) -> list[Any]:
    """What each call gives, where it moves the position, and whether it says that there is more."""
    seen: list[Any] = []
    while result.has_more():
        try:
            records = result.getall(most)
        except CorruptRecordException:
            seen.append("corrupt")
            continue
        plain = [(r.offset, r.timestamp, r.timestamp_type, r.key, r.value, tuple(r.headers)) for r in records]
        seen.append((plain, place.position))
    return seen


def assert_alike(
    raw: bytes, offset: int = 0, most: int | None = None, level: int = READ_UNCOMMITTED, aborted: Any = ()
) -> list[Any]:
    stock = until_empty(*fetched(raw, offset, level, aborted), most)
    ours = FetchResults({TOPIC.topic}, None)
    ours[TOPIC], place = fetched(raw, offset, level, aborted)
    assert "getall" in vars(ours[TOPIC])
    found = until_empty(ours[TOPIC], place, most)
    assert found == stock
    return found


@pytest.mark.parametrize("most", [None, 1, 2, 3, 4, 100])
@pytest.mark.parametrize("codec", [0, _GZIP])
def test_batches_of_a_fetch(most: int | None, codec: int) -> None:
    raw = b"".join(batch(i, codec=codec) for i in (0, 3, 6))
    found = assert_alike(raw, most=most)
    assert [record[0] for records, _ in found for record in records] == list(range(9))


@pytest.mark.parametrize("offset", [1, 2, 3, 5, 9])
def test_a_fetch_that_begins_within_a_batch(offset: int) -> None:
    assert_alike(batch(0) + batch(3), offset, most=1)


@pytest.mark.parametrize("codec", [0, _GZIP])
@pytest.mark.parametrize("magic", [0, 1])
def test_old_message_formats(magic: int, codec: int) -> None:
    assert_alike(legacy(0, magic, codec), most=2)


def test_transactions() -> None:
    """Those of producer 7 are aborted, then committed; markers take offsets and are no records."""
    raw = b"".join(
        [
            batch(0, producer=7),
            batch(3, producer=8),
            batch(6, (0,), last=0, producer=7, marker=_ABORT),
            batch(7, (0,), last=0, producer=8, marker=_COMMIT),
            batch(8, producer=7),
            batch(11, (0,), last=0, producer=7, marker=_COMMIT),
        ]
    )
    committed = assert_alike(raw, level=READ_COMMITTED, aborted=[(7, 0)])
    assert [record[0] for record in committed[0][0]] == [3, 4, 5, 8, 9, 10]
    assert committed[0][1] == 12
    assert len(assert_alike(raw)[0][0]) == 9


def test_what_compaction_took() -> None:
    assert assert_alike(batch(0, (), last=4) + batch(5, (1,), last=3))[-1][1] == 9


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_a_broken_batch_is_never_passed_over(broken: int) -> None:
    batches = [bytearray(batch(i)) for i in (0, 3, 6)]
    batches[broken][-1] ^= 1
    for most in (None, 2, 3):
        found = assert_alike(b"".join(map(bytes, batches)), most=most)
        assert "corrupt" in found
        reached = [record[0] for entry in found if entry != "corrupt" for record in entry[0]]
        assert reached == list(range(len(reached)))
        assert len(reached) <= 3 * broken


def test_a_position_that_was_moved_meanwhile() -> None:
    results = FetchResults({TOPIC.topic}, None)
    results[TOPIC], place = fetched(batch(0) + batch(3), 0, READ_UNCOMMITTED, ())
    assert len(results[TOPIC].getall(2)) == 2
    place.position = 0
    assert results[TOPIC].getall(2) == []
    assert not results[TOPIC].has_more()


def test_a_batch_has_its_own_limit_next_to_that_of_the_call() -> None:
    results = FetchResults({TOPIC.topic}, 2)
    results[TOPIC], place = fetched(batch(0) + batch(3), 0, READ_UNCOMMITTED, ())
    taken = [results[TOPIC].getall(most) for most in (None, 100, 1)]
    assert [[r.offset for r in records] for records in taken] == [[0, 1], [2, 3], [4]]
    assert place.position == 5


def test_other_topics_are_left_alone() -> None:
    results = FetchResults({"another"}, None)
    results[TOPIC], _ = fetched(batch(0), 0, READ_UNCOMMITTED, ())
    assert "getall" not in vars(results[TOPIC])
    assert [r.topic for r in results[TOPIC].getall()] == ["events"] * 3


@given(
    st.lists(
        st.tuples(st.sets(st.integers(0, 5)), st.sampled_from([None, 7, 8]), st.sampled_from([b"", _ABORT, _COMMIT])),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, 12),
    st.none() | st.integers(1, 7),
    st.sampled_from([READ_COMMITTED, READ_UNCOMMITTED]),
    st.lists(st.tuples(st.sampled_from([7, 8]), st.integers(0, 30)), max_size=3),
)
def test_any_fetch(
    batches: list[tuple[set[int], int | None, bytes]],
    offset: int,
    most: int | None,
    level: int,
    aborted: list[tuple[int, int]],
) -> None:
    raw = b"".join(
        batch(
            6 * n,
            sorted(kept) if producer is None or not marker else (0,),
            last=5,
            producer=producer,
            marker=marker if producer is not None else b"",
        )
        for n, (kept, producer, marker) in enumerate(batches)
    )
    assert_alike(raw, offset, most, level, aborted)
