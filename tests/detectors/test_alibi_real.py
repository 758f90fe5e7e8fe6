"""Real alibi-detect detectors: made by name, saved to disk and loaded, calibrated, and finding a shift."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import dill
import numpy as np
import pytest
from alibi_detect import saving
from alibi_detect.cd import ClassifierDrift, CVMDrift, KSDrift, TabularDrift
from alibi_detect.od import IForest, Mahalanobis
from alibi_detect.saving import save_detector
from sklearn.linear_model import LogisticRegression
from window_traffic import traffic

from detectors.alibi import AlibiWindow, build_alibi
from detectors.alibi_loading import AlibiUnavailableError
from detectors.batch import EventBatch
from detectors.contract import Summary, merge
from detectors.quota import window_index
from detectors.window_alarm import WindowAlarm, calibrate_windows, clean_rows, fit_limits

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # alibi-detect's own, of SciPy and pickling

CLEAN = traffic(0, rows=3000)
KINDS = {
    "KSDrift": {},
    "CVMDrift": {},
    "TabularDrift": {},
    "ClassifierDrift": {"n_folds": 3},
    "IForest": {"n_estimators": 50},
    "Mahalanobis": {},
}


def complete(batch: EventBatch) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The rows as their owner would have saved them: missing values replaced by medians, as the adapter does."""
    return np.where(np.isnan(batch.x), np.nanmedian(batch.x, axis=0), batch.x).astype(np.float32)


def save(kind: str, folder: Path) -> Path:
    """A detector fitted and saved by alibi-detect itself; outlier detectors in its form, which it cannot write here."""
    x = complete(CLEAN)[:1000]
    if kind in ("IForest", "Mahalanobis"):
        detector = IForest(threshold=0.0) if kind == "IForest" else Mahalanobis(threshold=0.0)
        names = ["threshold", "isolationforest"]
        if kind == "IForest":
            detector.fit(x)
        else:
            detector.score(x)
            names = ["threshold", "n_components", "std_clip", "start_clip", "max_n", "cat_vars", "ohe"]
            names += ["d_abs", "clip", "mean", "C", "n"]
        (folder / "meta.dill").write_bytes(dill.dumps(detector.meta))
        (folder / f"{kind}.dill").write_bytes(dill.dumps({name: getattr(detector, name) for name in names}))
        return folder
    made = {
        "KSDrift": lambda: KSDrift(x),
        "CVMDrift": lambda: CVMDrift(x),
        "TabularDrift": lambda: TabularDrift(x, categories_per_feature={4: None}),
        "ClassifierDrift": lambda: ClassifierDrift(x, LogisticRegression(), backend="sklearn", n_folds=3, seed=0),
    }[kind]()
    save_detector(made, folder)
    return folder


def window(detector: AlibiWindow, batch: EventBatch, sample_rows: int = 200) -> Summary:
    return merge(detector.summarise(batch.take(np.empty(0, dtype=np.int64))), detector.summarise(batch), sample_rows)


def clean_and_moved(detector: AlibiWindow) -> tuple[list[float], list[float]]:
    clean = [detector.score(window(detector, traffic(s, rows=300, first_client=100))) for s in range(10, 16)]
    moved = [detector.score(window(detector, traffic(s, rows=300, moved=4.0))) for s in range(10, 16)]
    return clean, moved


@pytest.mark.parametrize("kind", list(KINDS))
def test_made_by_name_it_tells_a_shift_from_clean(kind: str) -> None:
    built = build_alibi(name=kind, options=KINDS[kind])
    detector = built(built.fit(CLEAN))
    clean, moved = clean_and_moved(detector)
    assert min(moved) > max(clean)
    assert detector.explain(window(detector, CLEAN))["alibi"] == built.info.name


@pytest.mark.parametrize("kind", list(KINDS))
def test_saved_to_disk_and_loaded_it_does_too(kind: str, tmp_path: Path) -> None:
    built = build_alibi(path=str(save(kind, tmp_path)))
    detector = built(built.fit(CLEAN))
    clean, moved = clean_and_moved(detector)
    assert min(moved) > max(clean)


def test_the_score_is_that_of_the_detector_itself() -> None:
    batch = traffic(10, rows=150)
    built = build_alibi(name="KSDrift")
    params = built.fit(CLEAN)
    p_values = KSDrift(params["reference"]).predict(np.where(np.isnan(batch.x), params["fill"], batch.x))["data"][
        "p_val"
    ]
    detector = built(params)
    strength = -np.log(p_values.astype(np.float64))
    expected = (np.sqrt(strength.max()) + np.sqrt(strength.mean())) / 2
    assert detector.score(window(detector, batch)) == pytest.approx(expected, rel=1e-5)
    named = detector.explain(window(detector, batch))["features"][0]
    assert named["feature"] == int(np.argmin(p_values))


@pytest.mark.parametrize("kind", ["Mahalanobis", "KSDrift"])
def test_traffic_cannot_teach_it(kind: str, tmp_path: Path) -> None:
    """Mahalanobis learns as it scores, and a drift test told to move its reference does: not here."""
    if kind == "KSDrift":
        save_detector(KSDrift(complete(CLEAN)[:500], update_x_ref={"last": 200}), tmp_path)
        built = build_alibi(path=str(tmp_path))
    else:
        built = build_alibi(name=kind)
    detector = built(built.fit(CLEAN))
    clean, moved = (window(detector, traffic(12, rows=300, moved=m)) for m in (0.0, 4.0))
    before = detector.score(clean), detector.score(moved)
    for _ in range(5):
        detector.score(moved)
    assert (detector.score(clean), detector.score(moved)) == before


def test_images_reach_a_saved_detector_in_its_own_shape(tmp_path: Path) -> None:
    save_detector(KSDrift(complete(CLEAN)[:500].reshape(500, 2, 3)), tmp_path)
    built = build_alibi(path=str(tmp_path))
    detector = built(built.fit(CLEAN))
    clean, moved = clean_and_moved(detector)
    assert min(moved) > max(clean)


def test_the_sample_is_salted() -> None:
    """A client cannot choose ids that crowd the sample without knowing the clean traffic."""
    built = build_alibi(name="KSDrift")
    first, second = built(built.fit(CLEAN)), built(built.fit(traffic(1, rows=3000)))
    batch = traffic(10, rows=300)
    a, b = window(first, batch, 50), window(second, batch, 50)
    assert len(a.sample_hash) == len(b.sample_hash) == 50
    assert set(a.sample_x[:, 0].tolist()) != set(b.sample_x[:, 0].tolist())


def test_it_is_calibrated_and_alarms_like_any_window_detector() -> None:
    built = build_alibi(name="KSDrift")
    calibration = calibrate_windows(built, CLEAN, window_s=60.0, seed=1, sample_rows=200)
    detector = built(built.fit(clean_rows(CLEAN, 60.0)))
    alarm = WindowAlarm({("m", built.info.name): fit_limits(calibration, windows_per_day=1.0)})
    found = []
    for batch, offset in ((traffic(5, rows=3000, first_client=500), 0), (traffic(6, rows=3000, moved=4.0), 20)):
        index = window_index(batch.ts, 60.0)
        for w in np.unique(index).tolist():
            summary = window(detector, batch.take(index == w))
            start = 60.0 * (w + offset)
            finding = alarm.step(
                built.info,
                "m",
                start,
                start + 60,
                detector.score(summary),
                summary.count,
                partial(detector.explain, summary),
            )
            found += [finding] if finding else []
    assert len(found) == 1
    assert 1200.0 <= found[0].last_seen <= 1200.0 + 5 * 60
    assert found[0].detector == "alibi:KSDrift"


@pytest.mark.parametrize("name", ["MMDDrift", "LSDDDrift"])
def test_a_missing_backend_is_named(name: str) -> None:
    built = build_alibi(name=name, options={"backend": "pytorch"})
    with pytest.raises(AlibiUnavailableError, match=r"(?i)pytorch"):
        built(built.fit(CLEAN))


def test_options_that_do_not_exist_are_refused() -> None:
    built = build_alibi(name="KSDrift", options={"p_value": 0.1})
    with pytest.raises(ValueError, match="p_value"):
        built(built.fit(CLEAN))


def test_online_detectors_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    online = KSDrift(complete(CLEAN)[:100])
    online.meta |= {"name": "KSDriftOnline", "online": True}
    monkeypatch.setattr(saving, "load_detector", lambda path: online)
    built = build_alibi(path=str(tmp_path))
    with pytest.raises(ValueError, match="online"):
        built(built.fit(CLEAN))


def test_a_directory_without_a_detector_is_refused(tmp_path: Path) -> None:
    built = build_alibi(path=str(tmp_path))
    with pytest.raises(ValueError, match="not a detector"):
        built(built.fit(CLEAN))


def test_a_world_writable_directory_is_not_loaded(tmp_path: Path) -> None:
    folder = save("KSDrift", tmp_path / "saved")
    folder.chmod(0o777)
    built = build_alibi(path=str(folder))
    with pytest.raises(PermissionError):
        built(built.fit(CLEAN))
