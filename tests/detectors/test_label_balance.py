"""LabelBalance: mixtures of answers are held against those of clean clients, specialists among them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from row_traffic import honest
from scipy.stats import entropy

from detectors.alone import Alone
from detectors.batch import EventBatch
from detectors.contract import Params
from detectors.label_balance import LabelBalance


@pytest.fixture(scope="module")
def clean() -> EventBatch:
    """Four answers, the last two rare, in the same mixture for every client."""
    rows = honest(1, rows=3000)
    return replace(rows, labels=np.random.default_rng(0).choice(4, len(rows), p=[0.6, 0.3, 0.05, 0.05]))


@pytest.fixture(scope="module")
def params(clean: EventBatch) -> Params:
    return LabelBalance.fit(clean)


def asked(labels: list[int], seed: int = 2) -> EventBatch:
    rows = honest(seed, rows=400)
    there = np.resize(np.array(labels, dtype=np.int64), 400)
    return replace(rows, clients=("client:a",) * 400, labels=there)


def test_the_score_is_the_divergence_from_the_nearest_mixture(params: Params) -> None:
    rows = asked([0, 1, 2, 3, 2, 3])
    detector = Alone(LabelBalance(params))
    scores = detector.score(rows)
    end = int(np.flatnonzero(~np.isnan(scores))[0])
    new = detector.detector.entering(detector.rows(rows))  # type: ignore[attr-defined]  # it is a Regions
    assert end == new[31]
    shares = np.bincount(rows.labels[new[:32]], minlength=5) / 32
    divergences = [entropy(shares, np.exp(mixture)) for mixture in params["log_mixtures"]]
    assert scores[end] == pytest.approx(min(divergences), rel=1e-4)


def test_an_odd_mixture_stands_out_and_what_clean_clients_send_does_not(clean: EventBatch, params: Params) -> None:
    rng = np.random.default_rng(3)
    usual = Alone(LabelBalance(params)).score(asked(rng.choice(4, 400, p=[0.6, 0.3, 0.05, 0.05]).tolist()))
    odd = Alone(LabelBalance(params)).score(asked([2, 3]))
    even = Alone(LabelBalance(params)).score(asked([0, 1, 2, 3]))
    assert np.nanmax(usual) < 0.15 < 0.3 < min(np.nanmin(odd), np.nanmin(even))


@pytest.mark.parametrize("answer", [0, 3, 77])
def test_a_specialist_of_any_answer_is_no_odd_mixture(params: Params, answer: int) -> None:
    scores = Alone(LabelBalance(params)).score(asked([answer]))
    assert np.isfinite(scores).any()
    assert np.nanmax(scores) < 0.1


def test_frames_of_one_scene_are_one_answer(params: Params) -> None:
    rows = asked([2, 3])
    still = replace(rows, x=np.repeat(rows.x[:1], len(rows), axis=0))
    assert np.isnan(Alone(LabelBalance(params)).score(still)).all()


def test_models_without_answers_have_no_opinion_that_means_anything() -> None:
    bare = honest(1, outputs=False)
    scores = Alone(LabelBalance(LabelBalance.fit(bare))).score(replace(bare, clients=("client:a",) * len(bare)))
    assert np.nanmax(np.abs(scores)) < 1e-3


def test_a_finding_names_the_answers_and_what_the_nearest_mixture_has(params: Params) -> None:
    rows = asked([2, 2, 77, 2])
    scores = Alone(LabelBalance(params)).score(rows)
    end = int(np.flatnonzero(~np.isnan(scores))[0])
    figures = Alone(LabelBalance(params)).explain(rows, end)
    assert figures["nats"] == pytest.approx(scores[end], rel=1e-4)
    assert [one["label"] for one in figures["answers"]] == [2, "other"]
    assert sum(one["share"] for one in figures["answers"]) == pytest.approx(1.0)
    assert Alone(LabelBalance(params)).explain(rows, end - 1) == {}
