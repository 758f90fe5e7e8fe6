"""The scope of the models: their windows, and groups of their clients. What no partition can see alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from monitor.core import Core
from monitor.group_watch import GroupWatch
from monitor.joint_watch import JointWatch
from monitor.prefixed import over, under
from monitor.shares import AnyMessage, Part, Progress, Reached, Suspects
from monitor.shift_watch import ShiftWatch
from monitor.step import StepResult

_GROUP: Final = "group/"
_JOINT: Final = "joint/"


class ModelsWatch:
    """Gives each watch the messages that are for it."""

    def __init__(self, core: Core, state: Mapping[str, bytes], partitions: int, lanes: int = 1) -> None:
        """``partitions``: of the topic that clients are spread over; ``lanes``: of the bands."""
        rest = {k: v for k, v in state.items() if not k.startswith((_GROUP, _JOINT))}
        self._shift = ShiftWatch(core, rest, partitions)
        self._groups = GroupWatch(core, under(_GROUP, state), lanes)
        self._joint = JointWatch(core, under(_JOINT, state), partitions)

    @property
    def late_rows(self) -> int:
        """Rows that an idle partition brought after their windows had been closed."""
        return self._shift.late_rows

    @property
    def closed_ts(self) -> float:
        """Event time up to which windows are closed and compared; 0 before the first."""
        return min(self._shift.closed_ts, self._groups.closed_ts, self._joint.closed_ts)

    def take(self, messages: Iterable[AnyMessage]) -> StepResult:
        """In the order of the topic."""
        result = StepResult()
        for message in messages:
            if isinstance(message, Part | Reached):
                result.extend(self._groups.take([message]))
                continue
            if not isinstance(message, Suspects):
                result.extend(self._shift.take([message]))
            if isinstance(message, Suspects | Progress):
                result.extend(self._joint.take([message]))
        return result

    def delta(self) -> dict[str, bytes | None]:
        """State changed since the last call."""
        return self._shift.delta() | over(_GROUP, self._groups.delta()) | over(_JOINT, self._joint.delta())
