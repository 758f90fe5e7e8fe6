"""The whole core of one worker: its partitions' pipelines, the model windows they add up to, and one checkpoint.

Pure: the Faust app, an in-process replay and a unit test drive the same engine and get the same findings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from monitor.core import Core
from monitor.event import Event
from monitor.pipeline import PartitionPipeline
from monitor.shift_watch import ShiftWatch
from monitor.step import StepResult

MODELS_SCOPE = "models"

#: (scope, key, value or None for gone): what a checkpoint writes.
Change = tuple[str, str, bytes | None]


def partition_scope(partition: int) -> str:
    return f"partition/{partition}"


class Engine:
    """Give it every partition's records in order; ask it for findings, decisions and what to write down."""

    def __init__(self, core: Core, models_state: Mapping[str, bytes] | None = None) -> None:
        self._core = core
        self._partitions: dict[int, PartitionPipeline] = {}
        self._idle: set[int] = set()
        self._watch = ShiftWatch(core, models_state or {})

    @property
    def partitions(self) -> Mapping[int, PartitionPipeline]:
        return self._partitions

    @property
    def late_rows(self) -> int:
        """Rows that came after their window had closed; counted, never silently dropped."""
        return self._watch.late_rows + sum(p.windows.late_rows for p in self._partitions.values())

    def assign(self, partition: int, state: Mapping[str, bytes]) -> None:
        """Take a partition over, with the state its last checkpoint left."""
        self._partitions[partition] = PartitionPipeline(self._core, state)

    def revoke(self, partition: int) -> None:
        self._partitions.pop(partition, None)
        self._idle.discard(partition)

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
        """The partition has nothing to read; until its next record it does not hold the watermark back."""
        self._idle.add(partition)

    def release(self, model: str, client: str) -> None:
        """End a client's diversion wherever it lives (an operator's undo, or an action that was refused)."""
        for pipeline in self._partitions.values():
            pipeline.release(model, client)

    @property
    def watermark(self) -> float:
        """The oldest of the partitions' watermarks, idle ones left out: nothing older is to come."""
        marks = [p.watermark for n, p in self._partitions.items() if n not in self._idle]
        return min(marks, default=float("-inf"))

    def close_windows(self) -> StepResult:
        """Judge the model windows that the watermark has passed."""
        return self._watch.advance([p.windows for p in self._partitions.values()], self.watermark)

    def delta(self) -> list[Change]:
        """Everything that changed since the last call, to be written in one transaction with the offsets."""
        changes: list[Change] = [(MODELS_SCOPE, key, blob) for key, blob in self._watch.delta().items()]
        for partition, pipeline in self._partitions.items():
            scope = partition_scope(partition)
            changes += [(scope, key, blob) for key, blob in pipeline.delta().items()]
        return changes
