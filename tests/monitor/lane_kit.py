"""For the tests of lanes and of what reads into them: Kafka's side in small, and our own state store with a gate."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from monitor.intake import Record
from monitor.lanes import Lane, Lanes
from monitor.local_state import LocalState
from monitor.metrics import Metrics
from monitor.state import Changes, Saved
from monitor.store import Store

NEVER_DUE_S = 1e9


class Home(NamedTuple):
    topic: str
    partition: int


@dataclass
class KafkaBatch:
    """A batch of a consumer; ``acked`` is the consumer's book, in order."""

    tp: Home
    records: Sequence[Record]
    acked: list[int] = field(default_factory=list)

    def ack(self) -> None:
        self.acked += [record.offset for record in self.records]


def kafka_batch(offsets: Sequence[int], acked: list[int] | None = None, partition: int = 0) -> KafkaBatch:
    home = Home("t", partition)
    records = [Record("t", partition, offset, b"k", b"v%d" % offset) for offset in offsets]
    return KafkaBatch(home, records, [] if acked is None else acked)


class Seen:
    """State: the offsets of records in the order they were taken."""

    def __init__(self, state: dict[str, bytes]) -> None:
        self.offsets = [int(n) for _, blob in sorted(state.items()) for n in blob.split()]
        self._new: list[int] = []

    def take(self, offsets: Sequence[int]) -> None:
        self.offsets += offsets
        self._new += offsets

    def delta(self) -> dict[str, bytes | None]:
        new, self._new = self._new, []
        return {f"{new[0]:06}": b" ".join(b"%d" % n for n in new)} if new else {}


class WaitingState(LocalState):
    """The real store, which waits before it loads or saves while its gate is shut."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = asyncio.Event()

    async def load(self, scope: str, partition: int) -> Saved:
        await self._pass()
        return await super().load(scope, partition)

    async def save(self, scope: str, changes: Changes, next_offset: int) -> int:
        await self._pass()
        return await super().save(scope, changes, next_offset)

    async def _pass(self) -> None:
        if not self.gate.is_set():
            self.waiting.set()
            await self.gate.wait()
            self.waiting.clear()


@dataclass
class Worker:
    """Lanes of one process over a store that others share. ``told``: (scope, next offset) of lanes loaded or saved."""

    store: Store
    committed: dict[int, int] = field(default_factory=dict)
    checkpoint_s: float = NEVER_DUE_S
    told: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.states = WaitingState(self.store)
        self.asked: list[int] = []
        self.lanes: Lanes[Seen] = Lanes(
            "events",
            self.states,
            Metrics(),
            lambda _, saved: Seen(saved.values),
            begin=self._begin,
            checkpoint_s=self.checkpoint_s,
            saved=self._told,
        )

    async def lane(self, partition: int = 0) -> Lane[Seen]:
        self.lanes.assign({partition})
        lane = await self.lanes.get(partition)
        assert lane is not None
        return lane

    async def _begin(self, partition: int) -> int | None:
        self.asked.append(partition)
        return self.committed.get(partition)

    async def _told(self, lane: Lane[Any], _loaded: bool) -> None:
        self.told.append((lane.scope, lane.next_offset))


def cover(lane: Lane[Seen], batch: KafkaBatch) -> None:
    lane.state.take([record.offset for record in batch.records])
    lane.cover(batch, batch.records[-1].offset + 1)
