"""Calibration, limits and the alarm over windows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import ks_2samp
from window_traffic import traffic

from detectors.batch import EventBatch
from detectors.contract import DetectorInfo, Params, Summary
from detectors.finding import Attack, Finding, Severity
from detectors.quota import window_index
from detectors.shift import ShiftDetector
from detectors.window_alarm import (
    REARM_WINDOWS,
    WindowAlarm,
    WindowLimits,
    calibrate_windows,
    clean_rows,
    fit_limits,
)

INFO = DetectorInfo("shift", "1", Attack.SHIFT, "", "t")
LIMITS = WindowLimits(run_length=100.0, levels=np.array([2.0, 4.0]), chances=np.array([0.2, 0.02]), far=10.0, calm=4.0)


class _Counting(ShiftDetector):
    """Scores by the number of rows, however few."""

    def score(self, summary: Summary) -> float:
        return float(summary.count)


def alarm(limits: WindowLimits = LIMITS) -> WindowAlarm:
    return WindowAlarm({("m", "shift"): limits})


def feed(machine: WindowAlarm, scores: list[float], first: int = 0, **figures: Any) -> list[Finding | None]:
    return [
        machine.step(INFO, "m", 60.0 * i, 60.0 * i + 60, score, 200, lambda: figures)
        for i, score in enumerate(scores, start=first)
    ]


def calibration(scores: list[float], windows: int) -> Params:
    return {
        "time_scores": np.sort(np.array(scores)),
        "client_scores": np.empty(0),
        "windows": np.asarray(windows),
        "quota": np.asarray(10),
        "window_s": np.asarray(60.0),
    }


@pytest.fixture(scope="module")
def clean() -> EventBatch:
    return traffic(0, rows=2500)


@pytest.fixture(scope="module")
def calibrated(clean: EventBatch) -> Params:
    return calibrate_windows(ShiftDetector, clean, window_s=60.0, seed=1)


def test_calibration_is_the_same_for_the_same_seed(clean: EventBatch, calibrated: Params) -> None:
    again = calibrate_windows(ShiftDetector, clean, window_s=60.0, seed=1)
    assert {name: values.tobytes() for name, values in again.items()} == {
        name: values.tobytes() for name, values in calibrated.items()
    }
    other = calibrate_windows(ShiftDetector, clean, window_s=60.0, seed=2)
    assert other["client_scores"].tobytes() != calibrated["client_scores"].tobytes()


def test_calibration_counts_natural_windows_not_draws(clean: EventBatch, calibrated: Params) -> None:
    assert int(calibrated["windows"]) == len(np.unique(window_index(clean.ts, 60.0)))
    assert len(calibrated["time_scores"]) == int(calibrated["windows"])
    assert len(calibrated["client_scores"]) > 10 * int(calibrated["windows"])
    assert np.all(np.diff(calibrated["client_scores"]) >= 0)


def test_calibration_never_scores_what_it_was_fitted_on(clean: EventBatch) -> None:
    """A detector that remembers its clients and times: other times always, other clients unless fitted on all."""
    asked = {"other clients": 0, "all clients": 0}
    everybody = set(clean.clients)

    class Spy(ShiftDetector):
        def __init__(self, params: Params) -> None:
            super().__init__(params)
            self._times = set(params["times"].tolist())
            self._who = set(params["who"].tolist())

        @classmethod
        def fit(cls, rows: EventBatch) -> Params:
            seen = {
                "times": np.unique(window_index(rows.ts, 60.0)),
                "who": np.array(sorted(set(rows.clients))),
            }
            return super().fit(rows) | seen

        def summarise(self, batch: EventBatch) -> Any:
            assert self._times.isdisjoint(window_index(batch.ts, 60.0).tolist())
            assert self._who == everybody or self._who.isdisjoint(batch.clients)
            asked["all clients" if self._who == everybody else "other clients"] += len(batch) > 0
            return super().summarise(batch)

    calibrate_windows(Spy, clean, window_s=60.0, seed=1)
    assert asked["other clients"] >= 400
    assert asked["all clients"] == len(np.unique(window_index(clean.ts, 60.0)))


def test_one_client_is_calibrated_over_time_alone() -> None:
    found = calibrate_windows(ShiftDetector, traffic(0, rows=3000, clients=1), window_s=60.0, seed=1)
    assert int(found["windows"]) > 10


@pytest.mark.parametrize(("rows", "duration_s"), [(300, 50.0), (70, 1200.0)])
def test_too_little_clean_traffic_makes_limits_that_never_alarm(rows: int, duration_s: float) -> None:
    found = calibrate_windows(ShiftDetector, traffic(0, rows=rows, duration_s=duration_s), window_s=60.0, seed=1)
    assert int(found["windows"]) == 0
    assert fit_limits(found, windows_per_day=1.0).far == np.inf


def test_a_long_recording_is_sampled() -> None:
    """1500 windows, but no more scores than are of use."""
    clean = traffic(0, rows=4500, clients=12, duration_s=1500 * 10.0)
    found = calibrate_windows(_Counting, clean, window_s=10.0, seed=1)
    assert 1500 < len(found["client_scores"]) < 2500
    assert 1200 < len(found["time_scores"]) <= 1500
    assert int(found["windows"]) > 1000


def autocorrelated(seed: int, phi: float = 0.9) -> EventBatch:
    """AR(1) over time, the same for all clients: x_t = phi x_{t-1} + noise, feature by feature."""
    batch = traffic(seed, rows=5000, clients=40, duration_s=1500.0)
    noise = np.random.default_rng(seed + 1000).normal(size=batch.x.shape) * np.sqrt(1 - phi**2)
    x = np.zeros_like(noise)
    for i in range(1, len(x)):
        x[i] = phi * x[i - 1] + noise[i]
    return replace(batch, x=x.astype(np.float32))


def test_autocorrelated_traffic_that_fails_a_plain_test_alarms_nobody() -> None:
    """Rows that follow one another make the nominal 5 % of a KS test meaningless; calibrated limits know."""
    clean = autocorrelated(1)
    limits = fit_limits(calibrate_windows(ShiftDetector, clean, window_s=60.0, seed=1), windows_per_day=0.05)
    detector = ShiftDetector(ShiftDetector.fit(clean_rows(clean, 60.0)))
    machine, rejected, windows = alarm(limits), 0, 0
    for seed in (2, 3):
        batch = autocorrelated(seed)
        window = window_index(batch.ts, 60.0)
        for w in np.unique(window).tolist():
            rows = batch.take(window == w)
            p = min(ks_2samp(rows.x[:, j], clean.x[:, j]).pvalue for j in range(rows.x.shape[1]))
            rejected, windows = rejected + (p < 0.05 / rows.x.shape[1]), windows + 1
            score = detector.score(detector.summarise(rows))
            assert feed(machine, [score], first=windows) == [None]
    assert rejected > 0.6 * windows


def test_limits_widen_with_the_budget_and_tighten_with_more_clean_windows() -> None:
    scores = np.abs(np.random.default_rng(1).normal(size=400)).tolist()
    loose = fit_limits(calibration(scores, 20), windows_per_day=1.0)
    strict = fit_limits(calibration(scores, 20), windows_per_day=0.01)
    known = fit_limits(calibration(scores, 1400), windows_per_day=0.01)
    assert loose.run_length == pytest.approx(1440)
    assert loose.far < strict.far
    assert known.far < strict.far
    assert known.chances.min() < strict.chances.min() / 10
    assert fit_limits(calibration(scores, 20), windows_per_day=1.0, detectors=3).run_length == pytest.approx(3 * 1440)


def test_limits_stand_above_every_clean_score() -> None:
    limits = fit_limits(calibration([0.0] * 399 + [50.0], 1000), windows_per_day=1.0)
    assert limits.far >= 50.0
    assert limits.calm == 50.0


def test_the_far_line_keeps_its_promise_on_scores_with_the_assumed_tail() -> None:
    """Half-Rayleigh excess over a median: P(score > far) <= 1 / (2c) in nearly every calibration."""
    rng = np.random.default_rng(3)
    c, broken = 200.0, 0
    for _ in range(200):
        sign = rng.random(60) < 0.5
        scores = np.where(sign, rng.rayleigh(1.0, 60), -rng.rayleigh(1.0, 60))
        far = fit_limits(calibration(scores.tolist(), 60), windows_per_day=1440 / c).far
        broken += 0.5 * np.exp(-(far**2) / 2) > 1 / (2 * c)
    assert broken <= 30


def test_bets_are_fair_at_the_bound_and_pay_less_below_it() -> None:
    for level, chance in zip(LIMITS.levels, LIMITS.chances, strict=True):
        alone = WindowLimits(100.0, np.array([level]), np.array([chance]), 10.0, 4.0)
        mean = chance * alone.odds(level + 1) + (1 - chance) * alone.odds(level - 1)
        assert mean == pytest.approx(np.ones_like(mean))
        assert np.all(alone.odds(level - 1) > 0)


def test_run_length_between_false_alarms_is_at_least_the_budgets() -> None:
    """Windows that hit exactly as often as the bounds allow, and never far: the bets alone, simulated."""
    rng = np.random.default_rng(5)
    limits = WindowLimits(50.0, np.array([1.0]), np.array([0.1]), np.inf, 1.0)
    lengths = []
    for _ in range(150):
        machine, length = alarm(limits), 0
        while feed(machine, [2.0 if rng.random() < 0.1 else 0.0], first=length)[0] is None:
            length += 1
        lengths.append(length)
    assert np.mean(lengths) > limits.run_length


def test_one_far_window_alarms_at_once() -> None:
    found = feed(alarm(), [0.0, 1.0, 10.1])
    assert found[:2] == [None, None]
    finding = found[2]
    assert finding is not None
    assert (finding.score, finding.threshold, finding.ts) == (10.1, 10.0, 180.0)
    assert (finding.first_seen, finding.last_seen, finding.count) == (120.0, 180.0, 1)
    assert finding.subject.key == "model:m"
    assert finding.technique == ""
    assert finding.evidence["window"] == [120.0, 180.0]
    assert finding.evidence["rule"] == "single window"


def test_exactly_the_line_is_not_above_it() -> None:
    assert feed(alarm(), [10.0]) == [None]


def test_slightly_high_windows_alarm_together() -> None:
    found = feed(alarm(), [0.0, 0.0] + [5.0] * 20)
    made = [f for f in found if f is not None]
    assert len(made) == 1
    assert made[0].score >= made[0].threshold == 200.0
    assert made[0].first_seen == 120.0
    assert made[0].count == found.index(made[0]) - 1
    assert made[0].evidence["rule"] == "several windows"


def test_a_lone_high_window_is_forgotten() -> None:
    assert feed(alarm(), ([5.0] + [0.0] * 12) * 20) == [None] * 260


def test_no_finding_per_window_but_the_evidence_is_counted() -> None:
    machine = alarm()
    assert sum(f is not None for f in feed(machine, [12.0] * 30)) == 1
    ongoing = machine.ongoing()[("m", "shift")]
    assert ongoing.windows == 30
    assert ongoing.until_ts == 1800.0


def test_rearmed_only_after_successive_calm_windows() -> None:
    machine = alarm()
    nearly = [0.0] * (REARM_WINDOWS - 1)
    assert sum(f is not None for f in feed(machine, [12.0, *nearly, 12.0, *nearly, 12.0])) == 1
    found = feed(machine, [0.0] * REARM_WINDOWS + [12.0], first=20)
    assert [f is not None for f in found] == [False] * REARM_WINDOWS + [True]
    assert found[-1] is not None
    assert found[-1].first_seen == 60.0 * (20 + REARM_WINDOWS)


def test_no_opinion_changes_nothing() -> None:
    nan = float("nan")
    plain, gaps = alarm(), alarm()
    a = [f for f in feed(plain, [5.0, 5.0, 5.0, 5.0, 5.0, 5.0]) if f]
    b = [f for f in feed(gaps, [5.0, nan, 5.0, 5.0, nan, nan, 5.0, 5.0, 5.0]) if f]
    assert [f.count for f in a] == [f.count for f in b]
    machine = alarm()
    feed(machine, [12.0, 0.0, nan, nan, 0.0])
    assert machine.ongoing()


def test_unknown_models_and_detectors_without_clean_windows_never_alarm() -> None:
    machine = WindowAlarm({("m", "shift"): fit_limits(calibration([], 0), windows_per_day=1.0)})
    assert feed(machine, [1e9] * 5) == [None] * 5
    assert WindowAlarm({}).step(INFO, "m", 0.0, 60.0, 1e9, 10, dict) is None


@pytest.mark.parametrize(
    ("score", "moved", "severity"),
    [
        (11.0, 0.0, Severity.MEDIUM),
        (20.0, 0.0, Severity.HIGH),
        (11.0, 0.6, Severity.HIGH),
    ],
)
def test_severity_of_a_far_window(score: float, moved: float, severity: Severity) -> None:
    finding = feed(alarm(), [score], label_distance=moved)[0]
    assert finding is not None
    assert finding.severity is severity


@pytest.mark.parametrize(("moved", "severity"), [(0.0, Severity.LOW), (0.3, Severity.MEDIUM), (0.5, Severity.HIGH)])
def test_severity_of_slow_evidence(moved: float, severity: Severity) -> None:
    made = [f for f in feed(alarm(), [5.0] * 20, label_distance=moved) if f is not None]
    assert made[0].severity is severity


@pytest.mark.parametrize("cut", range(0, 40, 3))
def test_a_restart_anywhere_changes_nothing(cut: int) -> None:
    scores = [
        0.0,
        5.0,
        5.0,
        1.0,
        5.0,
        5.0,
        5.0,
        5.0,
        3.0,
        0.0,
        0.0,
        0.0,
        12.0,
        *[0.5, 12.0] * 5,
        *[0.0] * 5,
        *[5.0] * 12,
    ]
    whole = feed(alarm(), scores)
    first, second = alarm(), alarm()
    before = feed(first, scores[:cut])
    second.restore(first.snapshot())
    assert before + feed(second, scores[cut:], first=cut) == whole
    assert sum(f is not None for f in whole) == 3


def test_state_of_other_limits_is_dropped() -> None:
    old = alarm()
    feed(old, [5.0, 5.0])
    new = alarm(WindowLimits(100.0, np.array([2.0]), np.array([0.2]), 10.0, 4.0))
    new.restore(old.snapshot())
    assert feed(new, [12.0])[0] is not None


def test_shift_is_found_end_to_end_and_clean_traffic_is_not(clean: EventBatch, calibrated: Params) -> None:
    """Fit, calibrate, and watch other clients: 40 clean windows without a finding, then a shift found at once."""
    detector = ShiftDetector(ShiftDetector.fit(clean_rows(clean, 60.0)))
    machine = alarm(fit_limits(calibrated, windows_per_day=0.05))
    watched = traffic(5, rows=8000, duration_s=2400.0, first_client=500)
    shifted = traffic(6, rows=1000, duration_s=300.0, first_client=500, moved=2.0)
    found = []
    for batch, offset in ((watched, 0), (shifted, 40)):
        window = window_index(batch.ts, 60.0)
        for w in np.unique(window).tolist():
            summary = detector.summarise(batch.take(window == w))
            start = 60.0 * (w + offset)
            finding = machine.step(INFO, "m", start, start + 60, detector.score(summary), summary.count, dict)
            found += [finding] if finding else []
    assert [f.first_seen for f in found] == [2400.0]
