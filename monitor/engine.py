"""The whole core in one process: partitions' pipelines, and the models' windows that they add up to.

Pure: an in-process replay and unit tests drive it. A worker on Kafka runs the same pipelines and the same watch, with
a topic between them (``monitor.lanes``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from monitor.band_watch import BandWatch
from monitor.bands import BandSlot
from monitor.core import Core
from monitor.event import Event
from monitor.models_watch import ModelsWatch
from monitor.pipeline import PartitionPipeline
from monitor.shares import AnyMessage, Progress
from monitor.step import StepResult

MODELS_SCOPE = "models"

#: (scope, key, value or None for gone): what a checkpoint writes.
Change = tuple[str, str, bytes | None]


def partition_scope(partition: int) -> str:
    return f"partition/{partition}"


def bands_scope(lane: int) -> str:
    return f"bands/{lane}"


class Engine:
    """Give it every partition's records in order; ask it for findings, decisions and what to write down."""

    def __init__(
        self,
        core: Core,
        partitions: int,
        models_state: Mapping[str, bytes] | None = None,
        bands_state: Sequence[Mapping[str, bytes]] = ({},),
    ) -> None:
        """``partitions`` in all; windows close when each has spoken. ``bands_state``: by partition of the bands."""
        self._core = core
        self._partitions: dict[int, PartitionPipeline] = {}
        self._idle: set[int] = set()
        self._bands = [BandWatch(core, state, lane, partitions) for lane, state in enumerate(bands_state)]
        self._watch = ModelsWatch(core, models_state or {}, partitions, len(bands_state))

    @property
    def partitions(self) -> Mapping[int, PartitionPipeline]:
        return self._partitions

    @property
    def late_rows(self) -> int:
        """Rows that came after their window had closed; counted, never silently dropped."""
        return self._watch.late_rows + sum(p.late_rows for p in self._partitions.values())

    def assign(self, partition: int, state: Mapping[str, bytes]) -> None:
        """Take a partition over, with the state its last checkpoint left."""
        self._partitions[partition] = PartitionPipeline(self._core, state, partition)

    def step(
        self, partition: int, events: Sequence[Event], rejected: int = 0, ticks: Sequence[tuple[int, float]] = ()
    ) -> StepResult:
        """One partition's next records, in order. Raises KeyError for a partition that was not assigned.

        Args:
            rejected: how many records were no events.
            ticks: (events before it, event time) of each tick.
        """
        pipeline = self._partitions[partition]
        self._idle.discard(partition)
        result = pipeline.process(events, ticks)
        if rejected:
            pipeline.reject(rejected)
        return result

    def idle(self, partition: int) -> None:
        """The partition has nothing to read; until its next record it does not hold windows open."""
        self._idle.add(partition)

    def release(self, model: str, client: str) -> None:
        """End a client's diversion wherever it lives (an operator's undo, or an action that was refused)."""
        for pipeline in self._partitions.values():
            pipeline.release(model, client)

    def close_windows(self) -> StepResult:
        """Judge the model windows that all partitions' time has passed, and the groups in them."""
        result = StepResult()
        for number, pipeline in self._partitions.items():
            idle = number in self._idle
            result.extend(self._watch.take(pipeline.announce(idle=idle)))
            for message in pipeline.announce_bands(idle=idle):
                result.extend(self._watch.take(self._compare(message)))
        return result

    def _compare(self, message: BandSlot | Progress) -> list[AnyMessage]:
        told: list[AnyMessage] = []
        if isinstance(message, BandSlot):
            for lane, part in message.parts(len(self._bands)):
                told += self._bands[lane].take([part])
        else:
            for band in self._bands:
                told += band.take([message])
        return told

    def delta(self) -> list[Change]:
        """Everything that changed since the last call, to be written in one transaction with the offsets."""
        changes: list[Change] = [(MODELS_SCOPE, key, blob) for key, blob in self._watch.delta().items()]
        for lane, band in enumerate(self._bands):
            changes += [(bands_scope(lane), key, blob) for key, blob in band.delta().items()]
        for partition, pipeline in self._partitions.items():
            scope = partition_scope(partition)
            changes += [(scope, key, blob) for key, blob in pipeline.delta().items()]
        return changes
