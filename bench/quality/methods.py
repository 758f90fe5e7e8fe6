"""The methods in comparison: each is given a recording and says whom it accuses, and when."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from bench.peers import blacklight
from bench.peers.prada import DELTA, Prada
from bench.quality.recordings import Recorded
from bench.stream.stopwatch import Stopwatch
from detectors.baseline import Baseline
from detectors.calibration import calibrate
from detectors.panel import Panel
from monitor.core import Core
from monitor.event import Event
from monitor.settings import Detection, FalseAlarms, Settings
from replay.accusations import accused_by, is_shift
from replay.clean_traffic import clean_batches
from replay.in_process import replay_in_process
from replay.recording import read_recording

#: False-alarm budgets, falsely flagged clients per client and day; the one in the middle is the default.
BUDGETS: Final = (0.001, 0.01, 0.1)
DEFAULT_BUDGET: Final = FalseAlarms().clients_per_day
VEDETTE: Final = "Vedette"
NO_REPEATS: Final = "exact repeats ignored"


@dataclass(frozen=True, slots=True)
class Accusation:
    """``clients`` accused together at ``ts``; ``as_group``: as one attacker behind them all. ``by``: the detector."""

    ts: float
    clients: tuple[str, ...]
    as_group: bool
    by: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a method says of one recording. ``us_per_query``: processor time of its judgement, microseconds."""

    method: str
    accusations: list[Accusation]
    us_per_query: float


def events_of(path: Path) -> list[Event]:
    """The recording's events, redelivered ones once, as every method sees them."""
    events: dict[str, Event] = {}
    for item in read_recording(path):
        if isinstance(item, Event):
            events.setdefault(item.id, item)
    return list(events.values())


def vedette(recording: Recorded, events: Sequence[Event]) -> list[Said]:
    """The default detectors, calibrated on the clean recording, replayed in process; once for each budget."""
    baseline = calibrated(recording.clean)
    return [replayed(baseline, events, budget) for budget in BUDGETS]


def calibrated(clean: Path) -> Baseline:
    """The baseline that a clean recording gives."""
    return calibrate(clean_batches([clean]).batches)[0]


def replayed(baseline: Baseline, events: Sequence[Event], budget: float) -> Said:
    """What the default detectors say; processor time is that of the row detectors and the alarm."""
    settings = Settings(detection=Detection(false_alarms=FalseAlarms(clients_per_day=budget)))
    watch, step = Stopwatch(), Panel.step
    watch.watch("panel", Panel, "step")
    try:
        # Responses are simulated here: a client that was found goes on, and costs as much as it can.
        outcome = replay_in_process(iter(events), Core(settings, baseline), batch_events=2000)
    finally:
        Panel.step = step  # type: ignore[method-assign]  # the watch is taken off again
    accusations = [
        Accusation(finding.ts, accused_by(finding), finding.subject.scope == "group", finding.detector)
        for finding in outcome.findings
        if not is_shift(finding)
    ]
    name = VEDETTE if budget == DEFAULT_BUDGET else f"{VEDETTE}, budget {budget:g}"
    return Said(name, accusations, watch.seconds["panel"] / len(events) * 1e6)


def run_blacklight(recording: Recorded, events: Sequence[Event]) -> list[Said]:
    """On values scaled to [0, 1] by the range of clean traffic, which pictures have already.

    Once as in the paper, and once kinder: exact repeats, which honest clients that try again send, are not looked at.
    """
    low, high, _ = _ranges(recording)
    x = np.clip((_inputs(events) - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    blacklight.matches(x[:2])  # compiled before the clock starts
    _, first = np.unique(np.array([event.x.tobytes() for event in events], dtype=object), return_index=True)
    said = []
    for name, looked_at in (("Blacklight", np.arange(len(events))), (f"Blacklight, {NO_REPEATS}", np.sort(first))):
        found = np.zeros(len(events), dtype=np.bool_)
        started = time.process_time()
        found[looked_at] = blacklight.matches(x[looked_at])
        seconds = time.process_time() - started
        said.append(Said(name, _first_on_each(events, found), seconds / len(events) * 1e6))
    return said


def run_prada(recording: Recorded, events: Sequence[Event]) -> list[Said]:
    """On the values as they are for pictures, in standard deviations of clean traffic for rows."""
    _, _, spread = _ranges(recording)
    x = _inputs(events)
    if len(events[0].shape) == 1:
        x = x / np.where(spread > 0, spread, 1.0)
    clients: dict[str, Prada] = {}
    found = np.zeros(len(events), dtype=np.bool_)
    started = time.process_time()
    for i, event in enumerate(events):
        one = clients.setdefault(event.client_id, Prada(DELTA))
        assert event.labels is not None
        found[i] = one.looks_like_an_attack(x[i], int(event.labels[0]))
    seconds = time.process_time() - started
    return [Said("PRADA", _first_on_each(events, found), seconds / len(events) * 1e6)]


def _first_on_each(events: Sequence[Event], found: npt.NDArray[np.bool_]) -> list[Accusation]:
    first: dict[str, float] = {}
    for i in np.flatnonzero(found).tolist():
        first.setdefault(events[i].client_id, events[i].ts)
    return [Accusation(ts, (client,), False, "") for client, ts in first.items()]


def _inputs(events: Sequence[Event]) -> npt.NDArray[np.float64]:
    return np.concatenate([event.x for event in events]).astype(np.float64)


def _ranges(recording: Recorded) -> tuple[npt.NDArray[np.float64], ...]:
    """Least and greatest value and standard deviation of each feature in the clean recording."""
    x = _inputs(events_of(recording.clean))
    if recording.data_set == "mnist":
        return np.zeros(x.shape[1]), np.ones(x.shape[1]), x.std(axis=0)
    return x.min(axis=0), x.max(axis=0), x.std(axis=0)


#: What it says of a recording whose events it is given.
Method = Callable[[Recorded, Sequence[Event]], list[Said]]

METHODS: Final[tuple[Method, ...]] = (vedette, run_blacklight, run_prada)
