"""Window scores to findings: evidence over windows, one finding a shift, re-armed when traffic is back to normal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import numpy as np

from detectors.contract import DetectorInfo
from detectors.finding import Finding, Severity, Subject, stable_id
from detectors.window_calibration import calibrate_windows, clean_rows
from detectors.window_limits import WindowLimits, fit_limits

__all__ = ["Ongoing", "WindowAlarm", "WindowLimits", "calibrate_windows", "clean_rows", "fit_limits"]

#: Windows at or below the calm level, one after the other, before a detector may alarm again.
REARM_WINDOWS: Final = 3
#: Severity: high at this multiple of the far line, or when this share of the served labels moved; medium at half of
#: that share, or above the line at all; low when only many windows together tell.
_HIGH_TIMES: Final = 2.0
_HIGH_LABELS: Final = 0.5


class Ongoing(msgspec.Struct):
    """Evidence of one detector on one model. ``windows`` counts those above the lowest level since ``since_ts``."""

    evidence: list[float] = []
    since_ts: float = 0.0
    until_ts: float = 0.0
    windows: int = 0
    finding: str = ""
    calm: int = 0


class WindowAlarm:
    """An e-detector per model and window detector.

    With L the bets of ``WindowLimits.odds`` and M_j = max(M_j, 1) L_j, a finding is made when one window scores above
    ``limits.far`` or mean_j M_j reaches ``limits.needed``. The far line is a bet too, which pays 2c with a chance of at
    most 1/(2c), so half of each is an e-detector: M = max(M, 1) L with E[L | past] <= 1 has an average run length of at
    least c windows between false alarms (Shin, Ramdas, Rinaldo 2022, arXiv 2203.03532), as far as the chances in
    ``limits`` hold for clean windows given the ones before.

    After a finding the detector is silent on that model until ``REARM_WINDOWS`` successive windows were calm; windows
    that go on being far are counted (``ongoing``). A window with too few rows to say (NaN) changes nothing.

    Args:
        limits: by (model, detector name).
    """

    def __init__(self, limits: Mapping[tuple[str, str], WindowLimits]) -> None:
        self._limits = dict(limits)
        self._state: dict[tuple[str, str], Ongoing] = {}

    def step(
        self,
        info: DetectorInfo,
        model: str,
        start_ts: float,
        end_ts: float,
        score: float,
        rows: int,
        explain: Callable[[], dict[str, Any]],
        version: str = "",
    ) -> Finding | None:
        """Take in the next closed window of a model; windows must come in the order of their ends.

        Args:
            score: the detector's score of the window.
            rows: rows in the window.
            explain: called only for a finding; its figures go into the evidence, and ``label_distance`` among them
                (share of the labels that moved) into the severity.
            version: model version that answered.
        """
        limits = self._limits.get((model, info.name))
        if limits is None or math.isnan(score):
            return None
        state = self._state.setdefault((model, info.name), Ongoing(evidence=[0.0] * len(limits.odds(0.0))))
        if state.finding:
            self._quieten(state, score, end_ts, limits)
            return None
        evidence = np.maximum(state.evidence, 1.0) * limits.odds(score)
        total = float(evidence.mean()) if len(evidence) else 0.0
        if not state.windows:
            state.since_ts = start_ts
        if len(limits.levels) and score > limits.levels[0]:
            state.windows, state.until_ts = state.windows + 1, end_ts
        elif evidence.max(initial=0.0) <= 1.0:
            state.windows = 0
        state.evidence = evidence.tolist()
        if score <= limits.far and total < limits.needed:
            return None
        state.windows, state.until_ts = max(state.windows, 1), end_ts
        figures = explain()
        far = score > limits.far
        state.finding = stable_id("f", info.name, info.version, model, f"model:{model}", repr(start_ts))
        state.evidence = [0.0] * len(state.evidence)
        return Finding(
            id=state.finding,
            ts=end_ts,
            detector=info.name,
            detector_version=info.version,
            attack=info.attack,
            technique=info.technique,
            model=model,
            version=version,
            subject=Subject(scope="model", value=model),
            severity=_severity(score, limits, figures),
            score=score if far else float(f"{total:.6g}"),
            threshold=float(f"{limits.far if far else limits.needed:.6g}"),
            evidence={
                "rule": "single window" if far else "several windows",
                "window": [start_ts, end_ts],
                "rows": rows,
                "statistic": score,
                "clean_largest": limits.calm,
                **figures,
            },
            first_seen=state.since_ts,
            last_seen=end_ts,
            count=state.windows,
        )

    def ongoing(self) -> dict[tuple[str, str], Ongoing]:
        """What has been found and has not ended yet, by (model, detector name)."""
        return {key: state for key, state in self._state.items() if state.finding}

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode([(model, name, state) for (model, name), state in sorted(self._state.items())])

    def restore(self, state: bytes) -> None:
        """Take back a snapshot. What it says of detectors whose limits have another number of bets starts afresh."""
        for model, name, ongoing in msgspec.msgpack.decode(state, type=list[tuple[str, str, Ongoing]]):
            limits = self._limits.get((model, name))
            if limits is not None and len(ongoing.evidence) == len(limits.odds(0.0)):
                self._state[model, name] = ongoing

    @staticmethod
    def _quieten(state: Ongoing, score: float, end_ts: float, limits: WindowLimits) -> None:
        if score > limits.calm:
            state.windows, state.until_ts, state.calm = state.windows + 1, end_ts, 0
            return
        state.calm += 1
        if state.calm >= REARM_WINDOWS:
            state.finding, state.windows, state.calm = "", 0, 0


def _severity(score: float, limits: WindowLimits, figures: dict[str, Any]) -> Severity:
    moved = figures.get("label_distance", 0.0)
    if score >= _HIGH_TIMES * limits.far or moved >= _HIGH_LABELS:
        return Severity.HIGH
    return Severity.MEDIUM if score > limits.far or moved >= _HIGH_LABELS / 2 else Severity.LOW
