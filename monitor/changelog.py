"""State in a Kafka topic: any worker on any machine can take a partition over. ``changelog_fold`` has the form.

The topic should be compacted. ``load`` writes a marker first and then reads up to it: whatever a former owner managed
to write before the marker counts, nothing after it does, and no watermark of the broker has to be believed.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError

from monitor.changelog_fold import Commit, Entry, Fold, Gone, Key, Marker, Part, encode_entry
from monitor.kafka_auth import client_options
from monitor.kafka_connect import BrokerUnreachable
from monitor.kafka_wait import until_answered
from monitor.settings import Kafka
from monitor.state import Changes, Saved, StateTakenError

log = structlog.get_logger("vedette.changelog")

#: Largest piece of a value in one record; brokers take about a million bytes unless told otherwise.
PIECE_BYTES = 512 * 1024
#: Header of a record without value: the epoch of who wrote it.
BY = "vedette-epoch"
_FETCH_BYTES = 16 * 1024 * 1024


@dataclass(slots=True)
class _Owned:
    """One scope: where its log is, which records hold what, and which it does without, each with since when."""

    partition: int
    epoch: str
    number: int = 0
    keys: dict[str, list[bytes]] = field(default_factory=dict)
    committed: bytes | None = None
    garbage: deque[tuple[float, bytes]] = field(default_factory=deque)
    seen_s: float = 0.0


class Changelog:
    """A ``StateStore`` on a topic with ``partitions`` partitions.

    Records that the state does without are buried ``settle_s`` after the commit that replaced them, in the course of
    which an owner that was replaced has learnt of it: what its successor relies on must not be buried. An owner that
    was stopped meanwhile (no save for as long, or one that took as long) begins to count anew.
    """

    def __init__(self, kafka: Kafka, topic: str, partitions: int, *, settle_s: float) -> None:
        self._kafka = kafka
        self._topic = topic
        self._partitions = partitions
        self._settle_s = settle_s
        self._owned: dict[str, _Owned] = {}
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Raises kafka errors if no broker answers."""
        self._producer = AIOKafkaProducer(
            **client_options(self._kafka),
            # Not idempotent: a batch that is sent twice is followed by its repetition, which the fold takes as one.
            acks="all",
            max_batch_size=PIECE_BYTES,
            max_request_size=2 * PIECE_BYTES,
        )
        await self._producer.start()

    async def stop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def load(self, scope: str, partition: int) -> Saved:
        started = time.monotonic()
        owned = _Owned(partition % self._partitions, uuid.uuid4().hex)
        self._owned.pop(scope, None)
        marked = await self._send(self._key(scope, owned), owned, Marker())
        fold = await self._read(scope, owned.partition, int(marked.offset))
        if fold.missing:
            log.error("state is incomplete: records of the state topic are gone", scope=scope, values=fold.missing)
        owned.keys = {name: value.keys for name, value in fold.live.items()}
        owned.seen_s = time.monotonic()
        owned.garbage = deque((owned.seen_s, key) for key in fold.garbage())
        self._owned[scope] = owned
        saved = Saved({name: value.blob for name, value in fold.live.items()}, fold.next_offset)
        log.info(
            "state loaded",
            scope=scope,
            values=len(saved.values),
            bytes=sum(map(len, saved.values.values())),
            next_offset=saved.next_offset,
            seconds=round(time.monotonic() - started, 3),
        )
        return saved

    async def save(self, scope: str, changes: Changes, next_offset: int) -> int:
        owned = self._owned.get(scope)
        if owned is None:
            raise StateTakenError(f"{scope}: nobody here has loaded it")
        self._count_anew_if_away(owned)
        keys = dict(owned.keys)
        superseded: list[bytes] = []
        arriving = []
        written = 0
        # One after another: the producer takes one batch of a partition at a time, and wakes all who wait for it.
        for name, blob in changes.items():
            superseded += keys.pop(name, ())
            if blob is None:
                superseded.append(self._key(scope, owned))
                arriving.append(await self._begin_to_send(superseded[-1], owned, Gone(name)))
                continue
            keys[name] = []
            for part in _parts(name, blob):
                keys[name].append(self._key(scope, owned))
                arriving.append(await self._begin_to_send(keys[name][-1], owned, part))
            written += len(blob)
        # The commit must not be there without what it commits, so it waits for all of it.
        await asyncio.gather(*arriving)
        commit = self._key(scope, owned)
        await self._send(commit, owned, Commit(next_offset, len(keys)))
        if self._owned.get(scope) is not owned:
            raise StateTakenError(f"{scope}: it was loaded again meanwhile")
        self._count_anew_if_away(owned)
        owned.garbage += [(owned.seen_s, key) for key in superseded + ([owned.committed] if owned.committed else [])]
        owned.keys, owned.committed = keys, commit
        await self._bury(owned)
        return written

    def _count_anew_if_away(self, owned: _Owned) -> None:
        now = time.monotonic()
        if now - owned.seen_s > self._settle_s:
            owned.garbage = deque((now, key) for _, key in owned.garbage)
        owned.seen_s = now

    async def _bury(self, owned: _Owned) -> None:
        assert self._producer is not None
        # Nobody waits for these: what is not buried now is found again at the next takeover.
        while owned.garbage and owned.seen_s - owned.garbage[0][0] >= self._settle_s:
            _, key = owned.garbage.popleft()
            by = [(BY, owned.epoch.encode())]
            await self._producer.send(self._topic, key=key, value=None, partition=owned.partition, headers=by)

    async def _read(self, scope: str, partition: int, upto: int) -> Fold:
        """All records up to an offset, folded."""
        consumer = await until_answered(self._consumer, log.warning)
        tp = TopicPartition(self._topic, partition)
        fold = Fold(scope)
        try:
            consumer.assign([tp])
            await consumer.seek_to_beginning(tp)
            done = False
            while not done:
                for record in (await consumer.getmany(tp, timeout_ms=1000)).get(tp, ()):
                    fold.feed(record.key, record.value, dict(record.headers).get(BY, b"").decode())
                    done = record.offset >= upto
        finally:
            await consumer.stop()
        return fold

    async def _consumer(self) -> AIOKafkaConsumer:
        """A new one, connected. Raises BrokerUnreachable where no broker answers."""
        consumer = AIOKafkaConsumer(
            **client_options(self._kafka),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_bytes=_FETCH_BYTES,
        )
        try:
            await consumer.start()
        except BaseException as error:
            await consumer.stop()
            if isinstance(error, KafkaConnectionError):
                raise BrokerUnreachable(str(error)) from error
            raise
        return consumer

    def _key(self, scope: str, owned: _Owned) -> bytes:
        owned.number += 1
        return Key(scope, owned.epoch, owned.number).encode()

    async def _send(self, key: bytes, owned: _Owned, entry: Entry) -> Any:
        return await (await self._begin_to_send(key, owned, entry))

    async def _begin_to_send(self, key: bytes, owned: _Owned, entry: Entry) -> Awaitable[Any]:
        """Its arrival."""
        assert self._producer is not None, "start() comes first"
        value = encode_entry(entry)
        arrival: Awaitable[Any] = await self._producer.send(
            self._topic, key=key, value=value, partition=owned.partition
        )
        return arrival


def _parts(name: str, blob: bytes) -> list[Part]:
    pieces = [blob[at : at + PIECE_BYTES] for at in range(0, len(blob), PIECE_BYTES)] or [b""]
    return [Part(name, n, len(pieces), piece) for n, piece in enumerate(pieces)]
