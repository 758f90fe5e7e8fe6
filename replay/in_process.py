"""Plays a recording through the engine in this process: no broker, the same findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from detectors.finding import Finding
from monitor.core import Core
from monitor.engine import Engine
from monitor.event import Event
from monitor.incidents import Incident
from monitor.step import StepResult
from replay.recording import Bad
from replay.sender import partition_of
from responders.decision import Decision


@dataclass(slots=True)
class Outcome:
    """What a replay said. ``verdicts`` has one entry per event and ``dead_letter`` per line that was none."""

    findings: list[Finding] = field(default_factory=list)
    incidents: dict[str, Incident] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    verdicts: Counter[str] = field(default_factory=Counter)
    records: int = 0

    def add(self, result: StepResult) -> None:
        self.findings += result.findings
        self.incidents |= result.incidents
        self.decisions += result.decisions
        self.verdicts.update({verdict.value: n for verdict, n in result.verdicts.items()})


def replay_in_process(
    items: Iterable[Event | Bad],
    core: Core,
    *,
    partitions: int = 1,
    batch_events: int = 1000,
    progress: Callable[[int, float], None] | None = None,
) -> Outcome:
    """Every event judged, every window closed at the end.

    Args:
        items: what ``read_recording`` yields.
        partitions: events are spread over so many by client, as Kafka would; changes no finding.
        batch_events: events per step; changes no finding either.
        progress: told (lines so far, event time) after each step.
    """
    engine = Engine(core, partitions)
    for partition in range(partitions):
        engine.assign(partition, {})
    outcome = Outcome()
    waiting: dict[int, list[Event]] = {p: [] for p in range(partitions)}
    newest = 0.0

    def flush() -> None:
        for partition, events in waiting.items():
            if events:
                outcome.add(engine.step(partition, events))
                waiting[partition] = []
        outcome.add(engine.close_windows())
        engine.delta()  # nobody keeps it here; letting it grow would

    for n, item in enumerate(items, start=1):
        outcome.records = n
        if isinstance(item, Event):
            waiting[partition_of(item.client.encode(), partitions)].append(item)
            newest = max(newest, item.ts)
        else:
            outcome.verdicts["dead_letter"] += 1
        if n % batch_events == 0:
            flush()
            if progress is not None:
                progress(n, newest)
    flush()
    windows = core.settings.windows
    for partition in range(partitions):
        engine.step(partition, [], ticks=[(0, newest + windows.size_s + windows.grace_s)])
    outcome.add(engine.close_windows())
    return outcome
