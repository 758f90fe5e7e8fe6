"""Calibration: enough clean traffic or a clear refusal, the same traffic the same baseline, an honest report."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from row_traffic import TABLE, bisection, foreign, honest, later, merged, noisy, walk

from detectors.baseline import Baseline
from detectors.batch import EventBatch
from detectors.calibration import CalibrationError, calibrate, client_days
from detectors.calibration_report import CalibrationReport, ModelReport, events_limit
from detectors.finding import Finding
from detectors.fingerprints import Fingerprints
from detectors.folds import FOLDS, client_folds, held_out, held_out_scores, streamed
from detectors.near_duplicate import NearDuplicate
from detectors.panel import Panel
from detectors.registry import ROW_DETECTORS, WINDOW_DETECTORS


@cache
def made(shape: tuple[int, ...] = (8, 8)) -> tuple[Baseline, CalibrationReport]:
    return calibrate({"m": honest(1, shape, rows=3000, clients=40)})


def found(baseline: Baseline, live: EventBatch) -> set[tuple[str, str]]:
    findings: list[Finding] = []

    def on_finding(finding: Finding) -> bool:
        findings.append(finding)
        return True

    Panel("m", baseline.models["m"], 0.01).step(live, on_finding)
    return {(f.subject.value, f.attack.value) for f in findings}


@pytest.mark.parametrize(
    ("rows", "clients", "message"),
    [(299, 30, r"299 events of 30 clients; at least 300 events of 20 clients"), (800, 19, r"800 events of 19 clients")],
)
def test_too_little_traffic_is_refused_with_the_numbers(rows: int, clients: int, message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        calibrate({"m": honest(1, rows=rows, clients=clients)})


def test_every_model_with_too_little_traffic_is_named() -> None:
    short, enough = honest(1, rows=100), honest(1, rows=500)
    with pytest.raises(CalibrationError, match=r"model 'a' has 100 events.*; model 'c' has"):
        calibrate({"a": short, "b": enough, "c": short})
    with pytest.raises(CalibrationError, match="no events"):
        calibrate({})


def test_requests_are_counted_not_rows() -> None:
    rows = honest(1, rows=600)
    few = replace(rows, ids=tuple(f"r{i // 6}" for i in range(600)))
    with pytest.raises(CalibrationError, match="100 events"):
        calibrate({"m": few})


def test_every_detector_gets_parameters_a_version_and_limits() -> None:
    model = made()[0].models["m"]
    rows, windows = {k.info.name for k in ROW_DETECTORS}, {k.info.name for k in WINDOW_DETECTORS}
    assert model.params.keys() == model.versions.keys() == rows | windows | {Fingerprints.info.name}
    assert model.tails.keys() == model.opinions.keys() == rows
    assert model.windows.keys() == windows
    assert (model.shape, model.scores, model.rows, model.clients) == ((8, 8), 4, 3000, 40)
    assert 2900 < model.opinions["near_duplicate"] < 3000
    assert model.opinions["rate"] < 3000 / 16
    assert model.opinions["unseen_values"] == 0


def test_the_same_traffic_gives_the_same_baseline_and_a_file_that_works(tmp_path: Path) -> None:
    small = honest(2, rows=600)
    one, other = calibrate({"m": small})[0], calibrate({"m": small})[0]
    assert one.checksum == other.checksum
    one.save(tmp_path / "b.vdb")
    loaded = Baseline.load(tmp_path / "b.vdb")
    live = merged(honest(3, rows=300), later(bisection("client:a"), 100.0))
    assert found(loaded, live) == found(one, live)


def test_new_honest_clients_are_not_found() -> None:
    for seed in range(5, 9):
        assert found(made()[0], honest(seed, rows=1500, clients=25)) == set()


def test_attackers_are_found_for_what_they_do() -> None:
    assert found(made()[0], bisection("client:a")) == {("a", "evasion")}
    assert found(made()[0], walk("client:w", steps=8)) == {("w", "evasion")}
    assert found(made()[0], noisy("client:b")) == {("b", "evasion")}
    assert found(made()[0], foreign("client:c")) == {("c", "extraction")}


def test_attackers_on_tables_are_found_too() -> None:
    baseline = made(TABLE)[0]
    assert ("a", "evasion") in found(baseline, bisection("client:a", TABLE))
    assert ("w", "evasion") in found(baseline, walk("client:w", TABLE, steps=8))
    assert {who for who, _ in found(baseline, noisy("client:b", TABLE, eps=3.0))} == {"b"}
    assert found(baseline, honest(6, TABLE, rows=1500, clients=25)) == set()


def test_a_model_without_outputs_can_be_watched() -> None:
    clean = honest(1, rows=600, outputs=False)
    baseline = calibrate({"m": clean}, window_detectors=lambda _: ())[0]
    assert baseline.models["m"].scores == 0
    thief = foreign("client:c")
    thief = replace(thief, scores=None, labels=np.full(len(thief), -1, dtype=np.int64))
    assert found(baseline, thief) == {("c", "extraction")}


def test_window_detectors_can_be_chosen_by_model() -> None:
    clean = honest(1, rows=400)
    asked: list[str] = []
    calibrate({"m": clean, "n": clean}, window_detectors=lambda model: asked.append(model) or ())  # type: ignore[func-returns-value]  # append gives None
    assert asked == ["m", "n"]


def test_clients_are_divided_evenly_and_never_split() -> None:
    clean = honest(1, rows=1000, clients=31)
    fold = client_folds(clean)
    of = {client: set(fold[rows].tolist()) for client, rows in clean.by_client().items()}
    assert all(len(folds) == 1 for folds in of.values())
    sizes = np.bincount(fold, minlength=FOLDS)
    assert sizes.min() > 0.25 * len(clean)


def test_held_out_scores_come_from_detectors_that_never_saw_the_client() -> None:
    clean = honest(1, rows=400)
    fold = client_folds(clean)
    scores = held_out_scores(NearDuplicate, held_out(clean))
    first = clean.take(fold == 0)
    expected = streamed(NearDuplicate(NearDuplicate.fit(clean.take(fold != 0))), first)
    np.testing.assert_array_equal(scores[fold == 0], expected)


def test_client_days_count_minutes_with_traffic() -> None:
    clean = honest(1, rows=300, clients=25)
    clean = replace(clean, ts=np.repeat([60.0 * 7, 60.0 * 8 + 59.0, 60.0 * 100], 100))
    assert client_days(clean) == pytest.approx(25 * 3 / 1440)


def report(false: int = 0) -> ModelReport:
    return ModelReport("m", 5000, 60, 2.0, 0.01, false, {"coverage": 4})


def test_the_report_follows_the_rule_of_three() -> None:
    assert events_limit(0) == pytest.approx(2.996, abs=1e-3)
    assert events_limit(2) == pytest.approx(6.296, abs=1e-3)
    assert report().supported == pytest.approx(1.498, abs=1e-3)
    assert report(2).supported == pytest.approx(3.148, abs=1e-3)
    assert report().client_days_needed == pytest.approx(299.6, abs=0.1)


def test_the_report_says_it_in_words() -> None:
    text = "\n".join(CalibrationReport((report(), report(3))).lines())
    assert "5000 rows of 60 clients, 2 client-days" in text
    assert "no client would have been found: this much traffic can show at most 1.5 " in text
    assert "3 of its clients would have been found" in text
    assert "300 client-days" in text
    assert "coverage 4" in text


def test_the_report_of_a_calibration_is_about_it() -> None:
    model = made()[1].models[0]
    assert (model.model, model.rows, model.clients, model.falsely_found) == ("m", 3000, 40, 0)
    assert model.client_days == pytest.approx(40 * 120 / 1440, rel=0.02)
    assert all(1 <= hits <= 10 for hits in model.hits_needed.values())
    assert "unseen_values" not in model.hits_needed  # pictures have no lists of values: it will never say a thing


def test_who_has_the_traffic_but_not_the_salt_cannot_work_out_the_keys() -> None:
    clean = honest(1, rows=600)
    (plain, _), (salted, _), (again, _) = (calibrate({"m": clean}, salt=salt) for salt in (b"", b"secret", b"secret"))
    one, other = plain.models["m"].params, salted.models["m"].params
    for detector, names in {
        "near_duplicate": ("signs", "digest_key"),
        "coverage": ("planes",),
        "groups": ("digest_key",),
        "shift": ("salt",),
    }.items():
        for name in names:
            assert not np.array_equal(one[detector][name], other[detector][name]), (detector, name)
    for detector, params in again.models["m"].params.items():
        for name, value in params.items():
            np.testing.assert_array_equal(value, other[detector][name])
