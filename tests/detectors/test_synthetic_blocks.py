"""SyntheticBlocks: eight inputs at a time; only leaps count; classes are judged by their own clean rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from row_traffic import batch as rows_of
from row_traffic import honest, merged

from detectors.alone import Alone
from detectors.batch import EventBatch
from detectors.contract import Params
from detectors.kernels.leaps import block_means, leaping
from detectors.rows import Rows
from detectors.synthetic import Synthetic
from detectors.synthetic_blocks import BLOCK, SyntheticBlocks

D = 12


def measured(n: int, seed: int, client: str = "") -> EventBatch:
    """Rows of three kinds whose features depend on one another, not linearly alone; of 30 clients or of one."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(3, size=n)
    hidden = rng.normal(size=(n, 3)) + 4.0 * np.eye(3)[kind]
    mixing = np.random.default_rng(0).normal(size=(3, D - 3))
    x = np.concatenate([hidden, np.abs(hidden) @ mixing + 0.1 * rng.normal(size=(n, D - 3))], axis=1)
    rows = rows_of(x, [client or f"client:{i % 30}" for i in range(n)], (D,), outputs=False)
    return replace(rows, labels=kind.astype(np.int64))


def mixtures(n: int, seed: int) -> EventBatch:
    own = measured(60, seed, "client:thief")
    rng = np.random.default_rng(seed)
    one, other = rng.integers(60, size=(2, n))
    share = rng.random((n, 1)).astype(np.float32)
    x = share * own.x[one] + (1 - share) * own.x[other]
    return replace(rows_of(x, ["client:thief"] * n, (D,), outputs=False), labels=own.labels[one])


@pytest.fixture(scope="module")
def params() -> Params:
    return SyntheticBlocks.fit(measured(3000, 1))


def test_blocks_of_mixtures_stand_out_more_than_single_ones(params: Params) -> None:
    def apart(detector: Alone) -> float:
        usual = detector.score(measured(800, 2, "client:honest"))
        made = detector.score(mixtures(800, 3))
        assert np.nanmean(made) > np.nanmean(usual)
        return float((np.nanmean(made) - np.nanmean(usual)) / np.nanstd(usual))

    assert apart(Alone(SyntheticBlocks(params))) > 1.5 * apart(Alone(Synthetic(params)))


def test_a_block_is_the_mean_of_the_odds_above_those_usual_for_the_answer(params: Params) -> None:
    rows = mixtures(200, 4)
    scores = Alone(SyntheticBlocks(params)).score(rows)
    ends = np.flatnonzero(~np.isnan(scores))
    alone = Rows(rows, np.zeros(len(rows), dtype=np.int64))
    blind = Synthetic(params)
    leaps, latest = np.empty(200, dtype=np.bool_), np.zeros((1, 4), dtype=np.int64)
    places = np.ascontiguousarray(blind.located(alone)["place"])
    leaping(alone.order, alone.begins, places, 6, 12, latest, np.zeros(1, dtype=np.int64), leaps)
    counted = np.flatnonzero(leaps)
    assert len(counted) // BLOCK == len(ends) > 5
    assert ends.tolist() == counted[BLOCK - 1 :: BLOCK].tolist()
    first = counted[:BLOCK]
    usual = params["usual_odds"][np.searchsorted(params["answers"], rows.labels[first])]
    odds = np.clip(blind.odds(alone, first), -4.0, 4.0)
    assert scores[ends[0]] == pytest.approx(float(np.mean(odds - usual)), rel=1e-5)


def test_who_goes_from_one_input_to_another_by_small_steps_has_no_opinion(params: Params) -> None:
    ends = measured(9, 5, "client:camera")
    share = np.linspace(0.0, 1.0, 200)[:, None]
    x = np.concatenate([(1.0 - share) * a + share * b for a, b in zip(ends.x, ends.x[1:], strict=False)])
    detector = Alone(SyntheticBlocks(params))
    assert np.isnan(detector.score(rows_of(x, ["client:camera"] * len(x), (D,), outputs=False))).all()
    assert np.isnan(detector.score(replace(ends, x=np.repeat(ends.x[:1], 9, axis=0)))).all()


def test_answers_that_clean_traffic_hardly_has_are_judged_by_all(params: Params) -> None:
    assert params["answers"].tolist() == [0, 1, 2]
    assert len(params["usual_odds"]) == 4
    rows = mixtures(200, 6)
    strange = Alone(SyntheticBlocks(params)).score(replace(rows, labels=np.full(200, 77)))
    none = Alone(SyntheticBlocks(params | {"answers": params["answers"][:0], "usual_odds": params["usual_odds"][3:]}))
    np.testing.assert_array_equal(strange, none.score(rows))


def test_blocks_go_on_over_batches_and_clients_do_not_mix(params: Params) -> None:
    thief, other = mixtures(300, 7), measured(300, 8, "client:honest")
    whole = Alone(SyntheticBlocks(params)).score(thief)
    both = merged(thief, replace(other, ids=tuple(f"h{i}" for i in range(300)), ts=other.ts + 0.5))
    detector, scores = Alone(SyntheticBlocks(params)), []
    for start in range(0, len(both), 7):
        part = both.take(np.arange(start, min(start + 7, len(both))))
        scores.append(detector.score(part))
        detector.learn(part)
    mine = np.array(both.clients) == "client:thief"
    np.testing.assert_array_equal(np.concatenate(scores)[mine], whole)


def test_pictures_have_no_opinion_and_nothing_is_remembered_of_them() -> None:
    clean = honest(1)
    detector = Alone(SyntheticBlocks(SyntheticBlocks.fit(clean)))
    assert np.isnan(detector.score(clean)).all()
    detector.learn(clean)
    assert detector.snapshot() == {}


def test_a_finding_names_the_mean_and_how_many_inputs(params: Params) -> None:
    rows, detector = mixtures(100, 9), Alone(SyntheticBlocks(params))
    scores = detector.score(rows)
    end = int(np.flatnonzero(~np.isnan(scores))[0])
    assert detector.explain(rows, end) == {"mean_log_odds": pytest.approx(scores[end], rel=1e-3), "inputs": BLOCK}
    assert detector.explain(rows, end - 1) == {}


def test_means_by_hand() -> None:
    values = np.array([1.0, np.nan, 3.0, 5.0, 7.0, np.nan, 9.0])
    state = np.array([2.0]), np.array([1], dtype=np.int16), np.array([1], dtype=np.int16)
    out = np.full(7, np.nan)
    block_means(np.arange(7), np.array([0, 7]), values, 2, 9, *state, out)
    np.testing.assert_array_equal(out, [1.5, np.nan, np.nan, 4.0, np.nan, np.nan, 8.0])
    assert (state[0][0], state[1][0]) == (0.0, 0)


def test_a_block_that_takes_too_long_is_given_up() -> None:
    values = np.array([1.0, np.nan, 3.0, np.nan, np.nan, 5.0, 7.0, 9.0])
    state = np.array([2.0]), np.array([1], dtype=np.int16), np.array([3], dtype=np.int16)
    out = np.full(8, np.nan)
    block_means(np.arange(8), np.array([0, 8]), values, 2, 3, *state, out)
    # 1 comes too late for the 2 before it, and 3 just in time for the 1; 9 waits
    np.testing.assert_array_equal(out, [np.nan, np.nan, 2.0, np.nan, np.nan, np.nan, 6.0, np.nan])
    assert (state[0][0], state[1][0], state[2][0]) == (9.0, 1, 1)


def test_who_leaps_now_and_then_has_no_opinion(params: Params) -> None:
    """A leap in ten rows, the others repeats of it, is no thief's; a leap in five is one's who hides."""
    made = mixtures(300, 11)
    for repeats, opinions in ((10, False), (5, True)):
        rows = rows_of(np.repeat(made.x, repeats, axis=0), ["client:thief"] * 300 * repeats, (D,), outputs=False)
        scores = Alone(SyntheticBlocks(params)).score(replace(rows, labels=np.repeat(made.labels, repeats)))
        assert np.isfinite(scores).any() == opinions


def test_leaps_by_hand() -> None:
    places = np.array([0, 0b1, 0b111, 0b111111, 0b1000000, 0, -1], dtype=np.int64)
    latest, seen, out = np.zeros((1, 2), dtype=np.int64), np.zeros(1, dtype=np.int64), np.empty(7, dtype=np.bool_)
    leaping(np.arange(7), np.array([0, 7]), places, 2, 4, latest, seen, out)
    # 0 is the first; 1 bit is no step; 3 bits are a step; 3 more are one from there; 1 and 0 are near 0 no more
    assert out.tolist() == [True, False, False, False, True, False, True]
    assert seen[0] == 5
