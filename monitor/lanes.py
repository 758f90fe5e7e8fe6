"""The partitions of one topic that this worker owns: their state in memory, and what of it is safe.

A checkpoint waits for what was sent on behalf of the records it covers, saves the state, and only then acknowledges
the records. So a crash anywhere gives the same records to the next owner, with the state as it was before them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Generic, Protocol, TypeVar

import structlog

from monitor.metrics import Metrics
from monitor.state import Saved, StateStore, StateTakenError

log = structlog.get_logger("vedette.lanes")


class Remembering(Protocol):
    """Something with state."""

    def delta(self) -> dict[str, bytes | None]:
        """State changed since the last call; None means gone."""
        ...


class Ackable(Protocol):
    """Records of one partition."""

    def ack(self) -> object: ...


_State = TypeVar("_State", bound=Remembering)


class Lane(Generic[_State]):
    """One partition.

    Attributes:
        state: what is remembered.
        next_offset: of the first record not in ``state``.
        touched_s: monotonic time of the last records.
    """

    def __init__(self, scope: str, partition: int, state: _State, next_offset: int) -> None:
        self.scope = scope
        self.partition = partition
        self.state = state
        self.next_offset = next_offset
        self.touched_s = self.saved_s = self._began_s = time.monotonic()
        self.dirty = False
        self._waiting: list[Ackable] = []
        self._sends: list[Awaitable[object]] = []
        self._saving = asyncio.Lock()
        self._torn = False
        self._closed = False

    @property
    def saving(self) -> bool:
        """A checkpoint is under way."""
        return self._saving.locked()

    @property
    def saving_s(self) -> float:
        """How long a checkpoint has been under way; 0 if none is."""
        return time.monotonic() - self._began_s if self.saving else 0.0

    @property
    def quiet(self) -> bool:
        """Nothing is unsaved, or being saved."""
        return not self.dirty and not self.saving

    def close(self) -> asyncio.Task[None]:
        """No checkpoint begins any more; the task is done when the last one is."""
        self._closed = True
        return asyncio.create_task(self.until_saved(), name=f"close {self.scope}")

    async def until_saved(self) -> None:
        """Until no checkpoint is under way."""
        async with self._saving:
            pass

    def cover(self, records: Ackable, next_offset: int) -> None:
        """``state`` now holds these records; they are acknowledged by the next checkpoint."""
        self._waiting.append(records)
        self.next_offset = next_offset
        self.touched_s = time.monotonic()
        self.dirty = True

    def await_before_saving(self, sends: Iterable[Awaitable[object]]) -> None:
        """What must have arrived before the records that caused it may be forgotten."""
        self._sends += sends
        self.dirty = True

    async def checkpoint(self, states: StateStore) -> int:
        """Bytes written. Raises what the store or a send raises; the records are then not acknowledged.

        After that nothing more can be saved: the next changes would be saved without those that were lost.
        """
        async with self._saving:
            self._began_s = time.monotonic()
            if self._closed or not self.dirty:
                return 0
            if self._torn:
                raise RuntimeError(f"{self.scope}: its last checkpoint was not completed")
            self._torn = True
            waiting, sends, covered = self._waiting, self._sends, self.next_offset
            self._waiting, self._sends, self.dirty = [], [], False
            changes = self.state.delta()
            await asyncio.gather(*sends)
            written = await states.save(self.scope, changes, covered)
            for records in waiting:
                records.ack()
            self.saved_s = time.monotonic()
            self._torn = False
            return written


class Lanes(Generic[_State]):
    """The lanes of a topic by partition; a new one's state is loaded in the background."""

    def __init__(
        self,
        kind: str,
        states: StateStore,
        metrics: Metrics,
        make: Callable[[int, Saved], _State],
        *,
        begin: Callable[[int], Awaitable[int | None]],
        checkpoint_s: float,
        saved: Callable[[Lane[_State], bool], Awaitable[None]],
    ) -> None:
        """
        Args:
            kind: scopes are named ``KIND/PARTITION``.
            make: the state of a partition from what was saved of it.
            begin: up to which offset the group has read a partition, None for nothing; asked where no state is.
            checkpoint_s: at least this long between two checkpoints of a lane.
            saved: told of a lane that has been loaded (True) or saved (False), and waited for.
        """
        self._kind = kind
        self._states = states
        self._metrics = metrics
        self._make = make
        self._begin = begin
        self._checkpoint_s = checkpoint_s
        self._saved = saved
        self._lanes: dict[int, asyncio.Task[Lane[_State]]] = {}
        self._closing: dict[int, asyncio.Task[None]] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    def assign(self, partitions: Collection[int], *, keep: bool = True) -> None:
        """Own exactly these. What a lane that goes has not saved, its next owner works out again.

        ``keep``: nobody else can have owned since those that we own already; else they are loaded again.
        """
        for gone in self._lanes.keys() - set(partitions if keep else ()):
            self._drop(gone)
        for new in set(partitions) - self._lanes.keys():
            self._lanes[new] = asyncio.create_task(self._load(new), name=f"load {self._kind}/{new}")

    def _drop(self, partition: int) -> None:
        task = self._lanes.pop(partition)
        if not task.cancel() and not task.cancelled() and task.exception() is None:
            self._closing[partition] = task.result().close()

    async def get(self, partition: int) -> Lane[_State] | None:
        """The lane, loaded; None if the partition is not ours (any more)."""
        task = self._lanes.get(partition)
        if task is None:
            return None
        await asyncio.wait([task])
        return task.result() if self._lanes.get(partition) is task else None

    def owns(self, lane: Lane[_State]) -> bool:
        """Is it still ours?"""
        return any(loaded is lane for loaded in self.loaded())

    def loaded(self) -> list[Lane[_State]]:
        return [task.result() for task in self._lanes.values() if task.done() and not task.cancelled()]

    @property
    def loading(self) -> int:
        return sum(not task.done() for task in self._lanes.values())

    async def begin_checkpoint(self, lane: Lane[_State]) -> None:
        """Save the lane in the background, if that is due: no record of this or another lane waits for the broker.

        But where one has been under way for longer than checkpoints are apart, it is waited for: what is not safe yet
        would pile up in memory, and be read again after a crash. Raises what such a checkpoint raised since the last
        call of this or ``checkpoint_all``.
        """
        if lane.saving_s > self._checkpoint_s:
            await lane.until_saved()
        self._raise_failure()
        if not lane.saving and self._due(lane):
            task = asyncio.create_task(self.checkpoint(lane), name=f"checkpoint {lane.scope}")
            self._under_way.add(task)
            task.add_done_callback(self._ended)

    async def checkpoint(self, lane: Lane[_State], *, now: bool = False) -> None:
        """Save the lane, if that is due or ``now``; ``now`` also waits for a checkpoint that is under way."""
        if not (self._due(lane) or (now and not lane.quiet and self.owns(lane))):
            return
        started = time.perf_counter()
        try:
            self._metrics.checkpoint_bytes.observe(await lane.checkpoint(self._states))
        except StateTakenError:
            if self.owns(lane):
                raise
            return  # it went while it was being saved; its records come again
        self._metrics.checkpoint.observe(time.perf_counter() - started)
        if self.owns(lane):
            await self._saved(lane, False)

    async def checkpoint_all(self, *, now: bool = False) -> None:
        self._raise_failure()
        await asyncio.gather(*(self.checkpoint(lane, now=now) for lane in self.loaded()))

    def _due(self, lane: Lane[_State]) -> bool:
        return lane.dirty and time.monotonic() - lane.saved_s >= self._checkpoint_s and self.owns(lane)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            self._failure = self._failure or task.exception()

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    async def _load(self, partition: int) -> Lane[_State]:
        scope = f"{self._kind}/{partition}"
        started = time.perf_counter()
        if closing := self._closing.pop(partition, None):
            await closing  # the same scope is not loaded and saved at once
        saved = await self._states.load(scope, partition)
        next_offset = saved.next_offset
        if next_offset is None:
            next_offset = await self._begin(partition) or 0
            if next_offset:  # the state topic was made anew, or ``stream.state`` is another
                log.warning("no state, but the group has read this before: goes on there", scope=scope, at=next_offset)
        lane = Lane(scope, partition, self._make(partition, saved), next_offset)
        self._metrics.recovery.set(time.perf_counter() - started)
        await self._saved(lane, True)
        return lane
