"""Queries that are training records: each counts once, a prober is found, and models without a sketch pay nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from row_traffic import PICTURE, TABLE, Array, batch, cut, honest, inputs, merged

from detectors.alone import Alone
from detectors.baseline import Baseline, BaselineError
from detectors.batch import EventBatch
from detectors.calibration import CalibrationError, calibrate
from detectors.finding import Attack, Finding
from detectors.folds import held_out, held_out_scores
from detectors.membership_hits import RING, MembershipHits, SketchedMembershipHits
from detectors.panel import Panel
from detectors.record_bands import BANDS
from detectors.registry import OPTIONAL_ROW_DETECTORS, ROW_DETECTORS
from detectors.sketching import sketch_rows
from detectors.tail_rates import fit_tails
from detectors.training_sketch import TrainingSketch

SALT = b"a salt nobody knows"
NAME = MembershipHits.info.name
EXACT = float(BANDS**2)


@cache
def records(seed: int = 11, rows: int = 300) -> Array:
    """What the model was trained on, or with another seed what it was not: pictures that a camera took."""
    rng = np.random.default_rng(seed)
    return np.asarray(inputs(rng, rows, PICTURE) + rng.normal(0.0, 0.05, (rows, 64)))


@cache
def sketch() -> TrainingSketch:
    return sketch_rows(records(), SALT, PICTURE)


@cache
def baseline() -> Baseline:
    clean = honest(1, rows=1500, clients=30)
    return calibrate({"m": clean}, window_detectors=lambda _: (), training_sketches={"m": sketch()})[0]


@cache
def plain() -> Baseline:
    return calibrate({"m": honest(1, rows=1500, clients=30)}, window_detectors=lambda _: ())[0]


def alone() -> Alone:
    return Alone(MembershipHits(sketch().params))


def asks(x: Array, client: str = "client:asks") -> EventBatch:
    return batch(x, [client] * len(x), PICTURE, prefix=f"{client}-")


def prober(client: str, seed: int = 0, rows: int = 40, noise: float = 0.0) -> EventBatch:
    """Candidates in random order, every other one a training record."""
    rng = np.random.default_rng(seed)
    candidates = np.concatenate([records()[: rows // 2], records(12)[: rows // 2]])
    x = rng.permutation(candidates)
    return asks(x + rng.normal(0.0, noise, x.shape), client)


def found(panel: Panel, parts: list[EventBatch]) -> list[Finding]:
    findings: list[Finding] = []
    for part in parts:
        panel.step(part, lambda f: findings.append(f) or False)  # type: ignore[func-returns-value]  # append gives None
    return findings


def test_records_score_most_and_strangers_next_to_nothing() -> None:
    scores = alone().score(asks(records()[:40]))
    np.testing.assert_allclose(scores, EXACT * (1.0 + np.arange(40) / (np.arange(40) + 8.0)), rtol=1e-5)
    assert np.nanmean(alone().score(asks(records(12)))) < 1.0


def test_a_query_asked_again_has_no_opinion_noise_and_all() -> None:
    rng = np.random.default_rng(2)
    again = np.concatenate([records()[:1], records()[:1], records()[:1] + rng.normal(0.0, 0.005, (30, 64))])
    scores = alone().score(asks(again))
    assert scores[0] == EXACT
    assert np.isnan(scores[1:]).all()


def test_a_record_asked_about_long_ago_counts_again() -> None:
    others = records(12)[: RING + 20]
    detector = alone()
    detector.learn(asks(records()[:1]))
    assert np.isnan(detector.score(asks(records()[:1]))).all()
    detector.learn(asks(others))
    assert detector.score(asks(records()[:1])).tolist() == [EXACT]
    detector.learn(asks(records()[:RING]))
    assert detector.explain(asks(records()[RING : RING + 1]), 0)["records_before"] == RING
    detector.learn(asks(others))
    assert detector.explain(asks(records()[:1]), 0)["records_before"] == 0


def test_figures_say_how_nearly_it_was_a_record() -> None:
    rows = asks(records()[:3])
    assert alone().explain(rows, 2) == {
        "agreeing_bands": BANDS,
        "bands": BANDS,
        "records_before": 2,
        "queries_before": 2,
    }


@pytest.mark.parametrize("noise", [0.0, 0.005])
def test_who_asks_about_records_is_found_and_honest_clients_are_not(noise: float) -> None:
    findings = found(Panel("m", baseline().models["m"], 0.01), [prober("client:p", noise=noise)])
    mine = [f for f in findings if f.detector == NAME]
    assert mine
    assert (mine[0].attack, mine[0].technique) == (Attack.INFERENCE, "AML.T0024.000")
    assert mine[0].evidence["agreeing_bands"] >= BANDS // 2
    crowd = Panel("m", baseline().models["m"], 0.01)
    assert not [f for f in found(crowd, [honest(seed, clients=25) for seed in range(5, 9)]) if f.detector == NAME]


def test_a_health_check_a_camera_and_retries_with_records_are_no_probers() -> None:
    rng = np.random.default_rng(3)
    check = np.repeat(records()[:1], 200, axis=0)
    camera = records()[1] + rng.normal(0.0, 0.005, (200, 64))
    retries = np.repeat(records(12)[:100], 2, axis=0)
    panel = Panel("m", baseline().models["m"], 0.01)
    traffic = [asks(x, f"client:{name}") for name, x in (("check", check), ("camera", camera), ("retries", retries))]
    assert not [f for f in found(panel, traffic) if f.detector == NAME]


def test_clients_who_send_records_now_and_then_are_learned_by_calibration() -> None:
    """As demo data: one request in ten of each client is a training record."""
    rng = np.random.default_rng(4)

    def sprinkled(clean: EventBatch) -> EventBatch:
        some = rng.random((len(clean), 1)) < 0.1
        x = np.where(some, records()[rng.integers(0, len(records()), len(clean))], clean.x)
        return replace(clean, x=x.astype(np.float32))

    clean, kind = sprinkled(honest(1, rows=2500, clients=40)), SketchedMembershipHits(sketch())
    client = np.unique(np.array(clean.clients), return_inverse=True)[1]
    tails = fit_tails(held_out_scores(kind, held_out(clean)), client, kind.resolution)
    made = baseline().models["m"]
    learned = replace(made, tails={**made.tails, NAME: tails})
    others = [kind.info.name for kind in ROW_DETECTORS]
    crowd = Panel("m", learned, 0.01, others)
    assert not found(crowd, [sprinkled(honest(seed, rows=1000, clients=20)) for seed in (6, 7)])
    assert found(Panel("m", learned, 0.01, others), [asks(records()[:200], "client:all")])


@settings(max_examples=6)
@given(points=st.lists(st.integers(0, 300), max_size=6))
def test_however_the_stream_is_cut_findings_are_the_same(points: list[int]) -> None:
    crowd = honest(7, rows=200, clients=10)
    live = merged(
        crowd, *(replace(p, ts=p.ts - p.ts[0] + crowd.ts[50]) for p in (prober("client:p"), prober("client:q")))
    )
    whole = found(Panel("m", baseline().models["m"], 0.01), [live])
    assert found(Panel("m", baseline().models["m"], 0.01), cut(live, points)) == whole
    assert NAME in {f.detector for f in whole}


def test_models_without_a_sketch_have_no_such_detector_and_the_lower_threshold() -> None:
    without, with_it = (Panel("m", b.models["m"], 0.01) for b in (plain(), baseline()))
    step = [honest(2, rows=20)]
    found(without, step), found(with_it, step)
    client = step[0].clients[0]
    assert set(with_it.evidence(client)) - set(without.evidence(client)) == {NAME}
    opinions = baseline().models["m"].opinions
    share = opinions[NAME] / sum(n for name, n in opinions.items() if name != NAME)
    assert with_it.threshold / without.threshold == pytest.approx(1.0 + share, rel=1e-3)
    switched_off = Panel("m", baseline().models["m"], 0.01, [NAME])
    assert switched_off.threshold == without.threshold
    assert [f.id for f in found(switched_off, [prober("client:p")])] == [
        f.id for f in found(Panel("m", plain().models["m"], 0.01), [prober("client:p")])
    ]


def test_other_detectors_are_calibrated_as_without_a_sketch() -> None:
    one, other = plain().models["m"], baseline().models["m"]
    assert {NAME} == set(other.tails) - set(one.tails) == set(other.versions) - set(one.versions)
    for name, tails in one.tails.items():
        np.testing.assert_array_equal(other.tails[name].levels, tails.levels)
        np.testing.assert_array_equal(other.tails[name].bounds, tails.bounds)


def test_a_baseline_file_carries_the_sketch(tmp_path: Path) -> None:
    baseline().save(tmp_path / "b.vdb", 0o600)
    assert (tmp_path / "b.vdb").stat().st_mode & 0o777 == 0o600
    loaded = Baseline.load(tmp_path / "b.vdb").models["m"]
    live = [prober("client:p")]
    assert found(Panel("m", loaded, 0.01), live) == found(Panel("m", baseline().models["m"], 0.01), live)


def test_a_sketch_of_another_version_or_with_nonsense_is_refused() -> None:
    made = baseline().models["m"]
    with pytest.raises(BaselineError, match=f"{NAME} 0, this version needs 1"):
        Panel("m", replace(made, versions={**made.versions, NAME: "0"}), 0.01)
    nonsense = {**made.params[NAME], "members": made.params[NAME]["members"] - 50}
    with pytest.raises(BaselineError, match="make no sense"):
        Panel("m", replace(made, params={**made.params, NAME: nonsense}), 0.01)


def test_sketches_that_fit_no_traffic_are_refused() -> None:
    clean = honest(1, rows=600)
    with pytest.raises(CalibrationError, match="sketch of model 'other', but no clean traffic"):
        calibrate({"m": clean}, training_sketches={"other": sketch()})
    flat = sketch_rows(records(), SALT)
    with pytest.raises(CalibrationError, match=r"shape \(64,\), the clean requests have \(8, 8\)"):
        calibrate({"m": clean}, training_sketches={"m": flat})
    with pytest.raises(CalibrationError, match=r"\(64,\)"):
        calibrate({"m": honest(1, TABLE, rows=600)}, training_sketches={"m": flat})


def test_it_is_optional_and_calibrated_from_the_sketch_alone() -> None:
    assert NAME in {kind.info.name for kind in OPTIONAL_ROW_DETECTORS}
    assert SketchedMembershipHits(sketch()).fit(honest(1, rows=50)) is sketch().params
