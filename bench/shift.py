"""shift-window-1000 and shift-quality: the shift detector next to alibi-detect's KSDrift and SciPy's ks_2samp.

    python -m bench.shift            prints both tables and updates bench/RESULTS.md

Speed: a window of 1000 rows against a reference of 5000, 30 and 784 features, everything in the same run. Quality:
simulated honest traffic of the model digits-edge, calibrated on one recording, watched on others with other
clients; half way their cameras' lenses get dirty. The peers judge each window by their own p-values at the nominal
5 % (Bonferroni). Needs the extra ``alibi`` (Python 3.11).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
from alibi_detect.cd import KSDrift
from rich.console import Console
from rich.progress import track
from scipy.stats import ks_2samp

from bench.results import Table, publish
from detectors.batch import EventBatch
from detectors.histogram import Float32Array
from detectors.quota import window_index, within_quota
from detectors.shift import ShiftDetector
from detectors.window_alarm import WindowAlarm, calibrate_windows, clean_rows, fit_limits
from monitor.columns import to_batches
from replay.simulate.presets import preset
from replay.simulate.simulation import simulate

SPEED_ID, QUALITY_ID = "shift-window-1000", "shift-quality"
_REPEATS = 5
_MODEL, _WINDOW_S = "digits-edge", 60.0


def best_ms(run: Callable[[], object], repeats: int = _REPEATS) -> float:
    """Shortest of several runs, after one that does not count."""
    run()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return min(times) * 1e3


def ks_p(window: Float32Array, reference: Float32Array) -> float:
    """Smallest p-value over the features."""
    return min(float(ks_2samp(window[:, j], reference[:, j]).pvalue) for j in range(window.shape[1]))


def tabular(rows: int, d: int, seed: int) -> EventBatch:
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.ones(10), rows).astype(np.float32)
    return EventBatch(
        model="m",
        ids=tuple(f"{seed}-{i}" for i in range(rows)),
        ts=np.linspace(0.0, 600.0, rows),
        clients=tuple(f"client:{i}" for i in rng.integers(0, 100, rows)),
        x=rng.normal(size=(rows, d)).astype(np.float32),
        shape=(d,),
        labels=scores.argmax(axis=1).astype(np.int64),
        scores=scores,
        request=np.arange(rows),
        versions=("1",) * rows,
        ips=("",) * rows,
    )


def speed() -> Table:
    table = Table(
        SPEED_ID,
        "Milliseconds for a window of 1000 rows against a reference of 5000",
        (
            "features",
            "count rows",
            "score window",
            "both",
            "ks_2samp",
            "KSDrift",
            "ks_2samp / both",
            "KSDrift / both",
        ),
        notes="Counting takes in labels, confidence and clients too. ks_2samp is called per feature.",
    )
    for d in (30, 784):
        reference, window = tabular(5000, d, 0), tabular(1000, d, 1)
        detector = ShiftDetector(ShiftDetector.fit(reference))
        summary = detector.summarise(window)
        count, score = best_ms(lambda: detector.summarise(window)), best_ms(lambda: detector.score(summary))  # noqa: B023 - called at once
        scipy = best_ms(lambda: ks_p(window.x, reference.x), 2)  # noqa: B023 - called at once
        drift = KSDrift(reference.x)
        alibi = best_ms(lambda: drift.predict(window.x), 2)  # noqa: B023 - called at once
        both = count + score
        cells = [f"{v:.2f}" for v in (count, score, both, scipy, alibi)]
        table.row(str(d), *cells, f"{scipy / both:.0f}", f"{alibi / both:.0f}")
    return table


@dataclass
class Tally:
    clean: int = 0
    false: int = 0
    shifted: int = 0
    found: int = 0
    runs: int = 0
    prompt: int = 0

    def add(self, alarms: list[tuple[float, bool]], onset_ts: float) -> None:
        """``alarms``: start of each window and whether it alarmed. The window the shift begins in counts as neither."""
        self.runs += 1
        for start_ts, alarmed in alarms:
            if start_ts + _WINDOW_S <= onset_ts:
                self.clean, self.false = self.clean + 1, self.false + alarmed
            elif start_ts >= onset_ts:
                self.shifted, self.found = self.shifted + 1, self.found + alarmed
        self.prompt += any(alarmed and onset_ts - _WINDOW_S < start < onset_ts + _WINDOW_S for start, alarmed in alarms)


def recording(name: str, seed: int) -> EventBatch:
    scenario = msgspec.structs.replace(preset(name), attackers=())
    events = {e.id: e for e in simulate(scenario, seed).events if e.model == _MODEL}
    [batch] = to_batches(sorted(events.values(), key=lambda e: e.ts))
    return batch


def quality(calibrations: int, recordings: int) -> Table:
    scenario = preset("demo")
    if scenario.shift is None:
        raise ValueError("the demo scenario has no shift")
    onset_ts = scenario.start_ts + scenario.shift.onset_s
    ours, single, alibi, scipy = Tally(), Tally(), Tally(), Tally()
    watched = [recording("demo", seed) for seed in range(1, recordings + 1)]
    for seed in track(range(1, calibrations + 1), "shift-quality", console=Console(stderr=True)):
        clean = recording("clean", seed)
        calibration = calibrate_windows(ShiftDetector, clean, window_s=_WINDOW_S, seed=seed)
        limits = fit_limits(calibration, windows_per_day=0.05)
        detector = ShiftDetector(ShiftDetector.fit(clean_rows(clean, _WINDOW_S)))
        reference = clean.x[np.linspace(0, len(clean) - 1, 2000).astype(np.int64)]
        drift = KSDrift(reference, p_val=0.05)
        for batch in watched:
            alarm = WindowAlarm({(_MODEL, "shift"): limits})
            results: dict[str, list[tuple[float, bool]]] = {"ours": [], "single": [], "alibi": [], "scipy": []}
            quota = within_quota(batch, _WINDOW_S, int(calibration["quota"]))
            index = window_index(batch.ts, _WINDOW_S)
            for w in np.unique(index).tolist():
                start = w * _WINDOW_S
                summary = detector.summarise(batch.take((index == w) & quota))
                score, rows = detector.score(summary), batch.x[index == w]
                finding = alarm.step(detector.info, _MODEL, start, start + _WINDOW_S, score, summary.count, dict)
                results["ours"].append((start, finding is not None))
                results["single"].append((start, score > limits.far))
                results["alibi"].append((start, bool(drift.predict(rows)["data"]["is_drift"])))
                p = ks_p(rows, reference)
                results["scipy"].append((start, bool(p < 0.05 / rows.shape[1])))
            for tally, name in ((ours, "ours"), (single, "single"), (alibi, "alibi"), (scipy, "scipy")):
                tally.add(results[name], onset_ts)
    table = Table(
        QUALITY_ID,
        f"Windows of {_WINDOW_S:g} s; {calibrations} calibrations (15 min, 21 clients), {recordings} recordings each",
        (
            "method",
            "clean windows alarmed",
            "shifted windows alarmed",
            "shifts found by the end of the first full window",
        ),
        notes="A finding is made once per shift, so the first row counts findings, the others windows.",
    )
    for name, tally in (
        ("Vedette, findings", ours),
        ("Vedette, windows above the far line", single),
        ("KSDrift, p < 5 %", alibi),
        ("ks_2samp, p < 5 %", scipy),
    ):
        table.row(
            name,
            f"{tally.false} of {tally.clean}",
            f"{tally.found} of {tally.shifted}",
            f"{tally.prompt} of {tally.runs}",
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calibrations", type=int, default=6, help="recordings to calibrate on (default 6)")
    parser.add_argument("--recordings", type=int, default=12, help="recordings to watch with each (default 12)")
    args = parser.parse_args()
    publish(speed(), "python -m bench.shift")
    publish(quality(args.calibrations, args.recordings), "python -m bench.shift")


if __name__ == "__main__":
    main()
