"""What one partition counts of its rows for the models, some thousands of rows at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np

from detectors.batch import EventBatch, FloatArray, IntArray, concat
from detectors.dossiers import Raised
from monitor.bands import BandSlot, PartitionBands
from monitor.core import Core
from monitor.overload import Plan
from monitor.shares import Announcer, AnyMessage, Progress
from monitor.suspects import PartitionSuspects
from monitor.windows import PartitionWindows

#: So many rows, or values of their inputs (4 MiB), wait to be counted together, next to the batch that reaches it.
MOST_ROWS: Final = 4096
MOST_VALUES: Final = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """Rows with the watermark at each, those of them that are clean, what was raised, the plan that held."""

    batch: EventBatch
    watermarks: FloatArray
    clean: IntArray
    raised: list[Raised]
    plan: Plan

    @property
    def kind(self) -> tuple[str, bool, Plan]:
        """Successive rows that have this in common can stand in one batch."""
        return self.batch.model, self.batch.scores is None, self.plan


class Counting:
    """Windows, suspects and bands of one partition. Counting a few rows costs nearly as much as counting a thousand:
    rows wait for one another until somebody looks, or time passes the window of one of them. Between calls nothing
    that waits is late, and nobody can tell that it waits.
    """

    def __init__(self, core: Core, partition: int) -> None:
        self.windows = PartitionWindows(core.window_plan)
        self._bands = PartitionBands(core.window_plan, core.fingerprints, partition)
        self._suspects = PartitionSuspects(core.window_plan, core.joint_models, partition)
        self._announcer = Announcer(core.window_plan, partition)
        self._plan = core.window_plan
        self._waiting: list[_Waiting] = []
        self._rows = self._values = 0
        self._oldest_ts = math.inf

    def add(self, batch: EventBatch, watermarks: FloatArray, clean: IntArray, raised: list[Raised], plan: Plan) -> None:
        """Rows of one model, in the partition's order; then ``settle``.

        Args:
            watermarks: newest event time (or tick) in the partition up to each row, itself included, ``(n,)``.
            clean: those that windows and bands count: clean ones, of which the ``plan`` may take a sample.
            raised: suspicions, each with its row.
        """
        self._waiting.append(_Waiting(batch, watermarks, clean, raised, plan))
        self._rows += len(batch)
        self._values += batch.x.size
        self._oldest_ts = min(self._oldest_ts, float(batch.ts.min()))

    def settle(self, watermark: float) -> None:
        """Time has come so far: count what must not wait any longer."""
        over = self._waiting and self._plan.passed(math.floor(self._oldest_ts / self._plan.size_s), watermark)
        if over or self._rows >= MOST_ROWS or self._values >= MOST_VALUES:
            self._count()

    def announce(self, watermark: float, *, idle: bool = False) -> list[AnyMessage]:
        """See ``PartitionPipeline.announce``; ``settle`` must have been told of the watermark."""
        if idle:
            self._count()
        suspects = self._suspects.announce(watermark, idle=idle)
        return [*suspects, *self._announcer.announce(self.windows, watermark, idle=idle)]

    def announce_bands(self, watermark: float, *, idle: bool = False) -> list[BandSlot | Progress]:
        """The same of what must be compared across clients."""
        if idle:
            self._count()
        return self._bands.announce(watermark, idle=idle)

    def delta(self) -> dict[str, bytes | None]:
        """State that changed since the last call; None means gone."""
        self._count()
        rooms = (("window", self.windows), ("band", self._bands), ("suspect", self._suspects))
        return {f"{room}/{name}": value for room, counted in rooms for name, value in counted.delta().items()}

    def restore(self, rooms: Mapping[str, Mapping[str, bytes]]) -> None:
        """Take back what ``delta`` gave, by room."""
        self.windows.restore(rooms.get("window", {}))
        self._bands.restore(rooms.get("band", {}))
        self._suspects.restore(rooms.get("suspect", {}))

    def _count(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._rows = self._values = 0
        self._oldest_ts = math.inf
        waiting.sort(key=lambda some: some.batch.model)  # stable: a model's rows stay in their order
        for _, alike in groupby(waiting, lambda some: some.kind):
            self._absorb(list(alike))

    def _absorb(self, some: list[_Waiting]) -> None:
        batch, plan = concat([one.batch for one in some]), some[0].plan
        watermarks = np.concatenate([one.watermarks for one in some])
        begins = np.cumsum([0, *(len(one.batch) for one in some)]).tolist()
        raised = [(begin + row, of) for begin, one in zip(begins, some, strict=False) for row, of in one.raised]
        self._suspects.absorb(batch, watermarks, raised)
        clean = np.concatenate([begin + one.clean for begin, one in zip(begins, some, strict=False)])
        rows, reached = batch.take(clean), watermarks[clean]
        self.windows.absorb(rows, reached, plan)
        self._bands.absorb(rows, reached, plan.windows_one_in)
