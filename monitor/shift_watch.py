"""Model windows from closing to decisions: merged over partitions, scored, judged by the alarm, made incidents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from detectors.window_alarm import WindowAlarm
from monitor.cases import Cases
from monitor.core import Core
from monitor.overload import PLANS, degraded
from monitor.prefixed import over, under
from monitor.shares import Message
from monitor.step import StepResult
from monitor.window_merger import WindowMerger
from monitor.windows import ClosedWindow

_INCIDENT = "incident/"


class ShiftWatch:
    """The scope of the models: what no partition can see alone."""

    def __init__(self, core: Core, state: Mapping[str, bytes], partitions: int) -> None:
        """``partitions``: of the topic that clients are spread over."""
        self._core = core
        self._merger = WindowMerger(core.window_plan, partitions)
        self._alarm = WindowAlarm(core.window_limits)
        self._cases = Cases(core.policy, core.settings.response.resolve_after_s)
        self._judged = False
        self._merger.restore(state)
        if "alarm" in state:
            self._alarm.restore(state["alarm"])
        self._cases.restore(under(_INCIDENT, state))

    @property
    def late_rows(self) -> int:
        """Rows that an idle partition brought after their windows had been closed."""
        return self._merger.late_rows

    @property
    def closed_ts(self) -> float:
        """Event time up to which windows are closed; 0 before the first."""
        return self._core.window_plan.closed_ts(self._merger.closed)

    def take(self, messages: Iterable[Message]) -> StepResult:
        """What partitions say, in the order of the topic; windows that can be closed are judged at once."""
        result = StepResult()
        for message in messages:
            for window in self._merger.take(message):
                self._judged = True
                self._judge(window, result)
        return result

    def delta(self) -> dict[str, bytes | None]:
        """State changed since the last call."""
        if self._judged:
            self._cases.prune(self.closed_ts)
        changes = self._merger.delta() | over(_INCIDENT, self._cases.delta())
        if self._judged:
            changes["alarm"] = self._alarm.snapshot()
            self._judged = False
        return changes

    def _judge(self, window: ClosedWindow, result: StepResult) -> None:
        for name, detector in self._core.window_plan.detectors.get(window.model, {}).items():
            summary = window.summaries.get(name)
            if summary is None:
                continue
            finding = self._alarm.step(
                detector.info,
                window.model,
                window.start_ts,
                window.end_ts,
                detector.score(summary),
                window.rows,
                partial(detector.explain, summary),
                window.version,
            )
            if finding is not None:
                finding = degraded(finding, PLANS[window.level])
                incident, decisions = self._cases.found(finding)
                result.add(finding, incident, decisions)
