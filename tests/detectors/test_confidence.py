"""Confidence: the mean doubt of eight leaps, above what is usual for the answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from row_traffic import CLASSES, batch, camera, honest

from detectors.alone import Alone
from detectors.answers import DOUBT_STEPS, doubts
from detectors.batch import EventBatch
from detectors.confidence import Confidence
from detectors.contract import Params
from detectors.regions import RING


@pytest.fixture(scope="module")
def params() -> Params:
    return Confidence.fit(honest(1, rows=1500))


def of_one(rows: EventBatch) -> EventBatch:
    return replace(rows, clients=("client:a",) * len(rows))


def with_margin(rows: EventBatch, margin: float) -> EventBatch:
    scores = np.zeros((len(rows), CLASSES), dtype=np.float32)
    others = (rows.labels + 1) % CLASSES
    scores[np.arange(len(rows)), rows.labels] = 0.5 + margin / 2.0
    scores[np.arange(len(rows)), others] = 0.5 - margin / 2.0
    return replace(rows, scores=scores)


def test_the_score_is_the_mean_doubt_of_eight_leaps_above_the_usual(params: Params) -> None:
    rows = of_one(honest(2, rows=300))
    kind = Confidence(params)
    mine = Alone(kind).rows(rows)
    scores, entered = kind.score(mine), kind.entering(mine)
    leaps = np.flatnonzero(kind.visits(mine)["leap"][entered] >= 128)
    kept = [last for first, last in zip(leaps[::8], leaps[7::8], strict=False) if last - first < RING]
    assert np.flatnonzero(~np.isnan(scores)).tolist() == entered[kept].tolist()
    leaps = entered[leaps]
    first = leaps[:8]
    usual = params["usual_doubt"][rows.labels[first]]
    expected = np.mean(doubts(rows, first) / DOUBT_STEPS - usual)
    assert scores[first[-1]] == pytest.approx(float(expected), rel=1e-5)


def test_narrow_margins_stand_out(params: Params) -> None:
    rows = of_one(honest(2, rows=400))
    sure, unsure = (Alone(Confidence(params)).score(with_margin(rows, margin)) for margin in (0.9, 0.02))
    assert np.nanmin(unsure) > np.nanmax(sure) + 3.0


def test_an_answer_usually_in_doubt_is_judged_by_its_own_rows() -> None:
    """A specialist of a hard class is no attacker."""
    rng = np.random.default_rng(0)

    def rows(n: int, clients: list[str]) -> EventBatch:
        one = batch(rng.normal(size=(n, 12)), clients, (12,))
        return replace(one, labels=rng.integers(CLASSES, size=n))

    clean = rows(1500, [f"client:{i % 20}" for i in range(1500)])
    hard, easy = (np.asarray(with_margin(clean, margin).scores) for margin in (0.05, 0.9))
    scores = np.where((clean.labels == 0)[:, None], hard, easy)
    detector = Alone(Confidence(Confidence.fit(replace(clean, scores=scores))))
    special = replace(rows(200, ["client:a"] * 200), labels=np.zeros(200, dtype=np.int64))
    found = detector.score(with_margin(special, 0.05))
    assert np.isfinite(found).any()
    assert np.nanmax(np.abs(found)) < 0.1


def test_there_is_no_opinion_without_two_scores(params: Params) -> None:
    rows = of_one(honest(2, rows=200))
    assert np.isnan(Alone(Confidence(params)).score(replace(rows, scores=None))).all()
    one = replace(rows, scores=np.ones((len(rows), 1), dtype=np.float32))
    assert np.isnan(Alone(Confidence(params)).score(one)).all()
    assert Alone(Confidence(params)).explain(one, len(one) - 1) == {}


def test_frames_of_a_doubtful_scene_are_one_doubt(params: Params) -> None:
    frames = with_margin(camera("client:cam"), 0.01)
    assert np.isnan(Alone(Confidence(params)).score(frames)).all()


def test_a_finding_names_the_margin_and_what_is_usual(params: Params) -> None:
    rows = with_margin(of_one(honest(2, rows=200)), 0.25)
    scores = Alone(Confidence(params)).score(rows)
    end = int(np.flatnonzero(~np.isnan(scores))[0])
    figures = Alone(Confidence(params)).explain(rows, end)
    assert figures["margin"] == pytest.approx(0.25)
    assert figures["inputs"] == 8
    assert np.log2(figures["usual_margin"] / figures["margin"]) == pytest.approx(scores[end], abs=1e-4)
    assert Alone(Confidence(params)).explain(rows, end - 1) == {}
