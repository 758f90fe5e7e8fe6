from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.quality.adaptive import ID, publish_adaptive
from bench.quality.evasion.attempt import Attempt, Task, attempt
from bench.quality.evasion.campaign import hidden, shuffled
from bench.quality.evasion.cost import Trial, cheapest, cost_factor, least_of_one
from bench.quality.evasion.disguise import Disguise, heeded
from bench.quality.evasion.strategy import PLAIN, STRATEGIES, Strategy
from bench.results import Table
from bench.stream.goals import Run
from replay.simulate.datasets import data_set
from replay.simulate.served import served_model

NOISE, DECOYS = Strategy(noise_sd=0.05), Strategy(decoys=4)
trial = partial(Trial, "tumours", "simba")


def test_cost_factor_is_the_median_of_trials_that_work_and_are_not_found() -> None:
    trials = [trial(NOISE, True, 2.0, None), trial(NOISE, True, 4.0, None), trial(NOISE, True, 1.0, 7, "x")]
    assert cost_factor(trials) == 3.0


@pytest.mark.parametrize("other", [trial(NOISE, True, 1.0, 9, "x"), trial(NOISE, False, 12.0, None)])
def test_half_the_trials_are_not_enough_to_evade(other: Trial) -> None:
    assert cost_factor([trial(NOISE, True, 2.0, None), other]) is None


def test_the_cheapest_strategy_is_the_one_with_the_least_cost_among_those_that_evade() -> None:
    plain = trial(PLAIN, True, 1.0, 5, "x")
    best = cheapest([plain, trial(NOISE, True, 3.0, None), trial(DECOYS, True, 5.0, None)])
    assert best is not None
    assert (best.strategy, best.cost) == (NOISE, 3.0)
    assert cheapest([plain]) is None


def test_a_lucky_attacker_is_counted_apart() -> None:
    trials = [trial(NOISE, True, 2.0, None), trial(NOISE, True, 1.5, 4, "x"), trial(NOISE, False, 1.0, None)]
    assert cheapest(trials) is None
    assert least_of_one(trials) == 2.0


class _Kept(Run):
    def publish(self, table: Table) -> None:
        self.tables = [*getattr(self, "tables", []), table]


def test_the_table_names_the_cheapest_evasion_and_what_falls_short(tmp_path) -> None:  # type: ignore[no-untyped-def]
    run = _Kept(tmp_path, "python -m bench.quality.adaptive")
    other = Trial("mnist", "simba", PLAIN, True, 1.0, 5, "near_duplicate")
    publish_adaptive(run, [other, trial(PLAIN, True, 1.0, 5, "x"), trial(NOISE, True, 3.0, None)])
    (table,) = run.tables
    assert table.id == ID
    assert table.rows == [
        ("none", "works 1/1 at 1.0; found 1/1 after 5, near_duplicate", "works 1/1 at 1.0; found 1/1 after 5, x"),
        ("noise 0.05", "-", "works 1/1 at 3.0; found 0/1"),
        ("**least cost factor to evade**", "**> 12**, none evaded", "**3.0** (noise 0.05)"),
        ("least of any one trial that evades", "-", "3.0"),
    ]
    assert [short.partition(":")[0] for short in run.short] == ["quality-adaptive, simba on tumours"]


FITTING = [
    (name, how) for name, pictures in (("tumours", False), ("digits", True)) for how in STRATEGIES if how.fits(pictures)
]


@pytest.mark.parametrize(("name", "strategy"), FITTING, ids=lambda value: getattr(value, "name", value))
def test_disguises_keep_shape_and_range_and_are_the_same_for_a_seed(name: str, strategy: Strategy) -> None:
    data, rng = data_set(name), np.random.default_rng(1)
    own = data.space.to_unit(data.split.b.x[:50])
    order = rng.permutation(data.space.features)

    def disguised() -> np.ndarray:
        return Disguise(strategy, data.space, own, own.std(axis=0), order, np.random.default_rng(7)).copies(own[:3])

    x = disguised()
    assert x.shape == (3 * strategy.votes, data.space.features)
    assert x.min() >= 0.0
    assert x.max() <= 1.0
    assert np.array_equal(x, disguised())
    changed = strategy.noise_sd or strategy.moves or strategy.resampled or strategy.jitter
    assert np.array_equal(x, np.repeat(own[:3], strategy.votes, axis=0)) is not bool(changed)


def test_features_that_matter_are_not_resampled() -> None:
    model = served_model("tumours")
    own = model.data.space.to_unit(model.data.split.b.x[:50])
    order = heeded(model, own)
    assert sorted(order.tolist()) == list(range(30))
    x = Disguise(Strategy(resampled=0.5), model.data.space, own, own.std(axis=0), order, np.random.default_rng(1))
    assert np.array_equal(x.copies(own)[:, order[15:]], own[:, order[15:]])


@settings(max_examples=30)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=5), st.integers(0, 40), st.integers(0, 1000))
def test_shuffling_and_hiding_keep_every_row_and_the_order_of_a_stream(
    lengths: list[int], decoys: int, seed: int
) -> None:
    streams = [np.column_stack([np.full(n, k), np.arange(n)]).astype(float) for k, n in enumerate(lengths)]
    rng = np.random.default_rng(seed)
    sent = hidden(shuffled(streams, rng), np.full((decoys, 2), -1.0), rng)
    assert len(sent) == sum(lengths) + decoys
    assert sent[-1, 0] >= 0  # what comes after the last query would be no cost of it
    for k, stream in enumerate(streams):
        assert np.array_equal(sent[sent[:, 0] == k], stream)


def test_reaching_a_goal_takes_the_queries_sent_by_then() -> None:
    made = Attempt(np.zeros((9, 2)), ((3, 2.0), (8, 1.0)))
    assert [made.reached(goal) for goal in (2.5, 1.5, 0.5)] == [3, 8, None]


@pytest.mark.parametrize("strategy", [PLAIN, NOISE, Strategy(noise_sd=0.05, guided=True), Strategy(votes=3)])
@pytest.mark.parametrize("attack", ["hopskipjump", "simba"])
def test_attacks_keep_to_their_budget_and_end_at_their_goal(attack: str, strategy: Strategy) -> None:
    task = Task("tumours", attack, 3)
    made, again = (attempt(task, strategy, 300) for _ in range(2))
    assert np.array_equal(made.sent, again.sent)
    assert made.distortions == again.distortions
    assert 0 < len(made.sent) <= 300
    for queries, distortion in made.distortions[:1]:
        until = attempt(task, strategy, 300, goal=distortion)
        assert until.reached(distortion) == queries
        assert np.array_equal(until.sent[:queries], made.sent[:queries])


def test_distortions_are_those_of_inputs_that_the_model_gives_another_class() -> None:
    made = attempt(Task("tumours", "hopskipjump", 0), PLAIN, 200)
    model = served_model("tumours")
    classes = model.scores(made.sent).argmax(axis=1)
    victim = model.data.space.to_unit(made.sent[:1])  # HopSkipJump asks about its victim first
    away = np.linalg.norm(model.data.space.to_unit(made.sent) - victim, axis=1)
    assert made.distortions
    for queries, distortion in made.distortions:
        assert classes[queries - 1] != classes[0]
        assert away[queries - 1] == pytest.approx(distortion, abs=1e-3)
