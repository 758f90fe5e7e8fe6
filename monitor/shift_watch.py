"""Model windows from closing to decisions: merged over partitions, scored, judged by the alarm, made incidents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from detectors.window_alarm import WindowAlarm
from monitor.cases import Cases
from monitor.core import Core
from monitor.step import StepResult
from monitor.windows import ClosedWindow, PartitionWindows, WindowMerger


class ShiftWatch:
    """The scope of the models: what no partition can see alone."""

    def __init__(self, core: Core, state: Mapping[str, bytes]) -> None:
        self._core = core
        self._merger = WindowMerger(core.window_plan)
        self._alarm = WindowAlarm(core.window_limits)
        self._cases = Cases(core.policy, core.settings.response.resolve_after_s)
        self._closed = False
        if "merger" in state:
            self._merger.restore(state["merger"])
            self._alarm.restore(state["alarm"])
        self._cases.restore(
            {key.removeprefix("incident/"): blob for key, blob in state.items() if key.startswith("incident/")}
        )

    @property
    def late_rows(self) -> int:
        """Rows that an idle partition brought after their windows had been closed."""
        return self._merger.late_rows

    def advance(self, partitions: Iterable[PartitionWindows], watermark: float) -> StepResult:
        """Close what the watermark has passed and judge it, in the order of the windows' ends."""
        result = StepResult()
        for window in self._merger.advance(partitions, watermark):
            self._closed = True
            self._judge(window, result)
        if self._closed:
            self._cases.prune(watermark)
        return result

    def delta(self) -> dict[str, bytes | None]:
        """State changed since the last call."""
        changes: dict[str, bytes | None] = {f"incident/{k}": v for k, v in self._cases.delta().items()}
        if self._closed:
            changes["merger"] = self._merger.snapshot()
            changes["alarm"] = self._alarm.snapshot()
            self._closed = False
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
                incident, decisions = self._cases.found(finding)
                result.add(finding, incident, decisions)
