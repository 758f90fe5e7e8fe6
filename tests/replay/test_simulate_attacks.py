import sys
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from detectors.finding import Attack
from replay.labels import split_label
from replay.simulate import Attacker, HonestClient, MissingExtraError, Scenario, ScenarioError, simulate
from replay.simulate.attacks.context import AttackContext
from replay.simulate.attacks.registry import ATTACKS, attack_scenario
from replay.simulate.datasets.examples import Array
from replay.simulate.images import photo_patches, traffic_images
from replay.simulate.oracle import BudgetSpent, Oracle, seeded_globals
from replay.simulate.sensor import Sensor
from replay.simulate.served import served_model


def context(name: str, queries: int, **spec: float) -> AttackContext:
    attacker = Attacker("x", name, "digits", "192.0.2.9", 0.0, queries, 5.0, **spec)  # type: ignore[arg-type]  # targets is an int
    rng = np.random.default_rng(5)
    return AttackContext(attacker, Oracle(served_model("digits"), queries), traffic_images("b"), Sensor.draw(rng), rng)


def queries_of(work: AttackContext) -> Array:
    with seeded_globals(1), suppress(BudgetSpent):
        attack_scenario(work.spec.attack).load()(work)
    return np.stack(work.oracle.queries)


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_every_attack_sends_valid_queries_within_its_budget_and_repeats_with_its_seed(name: str) -> None:
    sent = queries_of(context(name, 80, targets=2))
    assert 10 < len(sent) <= 80
    assert sent.shape[1] == 64
    assert 0.0 <= sent.min() <= sent.max() <= 1.0
    np.testing.assert_array_equal(sent, np.round(sent, 4))
    np.testing.assert_array_equal(sent, queries_of(context(name, 80, targets=2)))
    assert split_label(ATTACKS[name].label(name)) == (ATTACKS[name].family, name)


@pytest.mark.parametrize("name", ["pgd", "fgm"])
def test_white_box_queries_fool_the_model_and_lie_within_eps_of_a_picture(name: str) -> None:
    sent = queries_of(context(name, 20, eps=0.25))
    x, y = context(name, 20, eps=0.25).own_examples(60)
    distances = np.abs(sent[:, None, :] - x[None, :, :]).max(axis=2)
    assert distances.min(axis=1).max() <= 0.25 + 1e-4
    shown = y[distances.argmin(axis=1)]
    assert np.all(served_model("digits").scores(sent).argmax(axis=1) != shown)


@pytest.mark.parametrize("name", ["knockoff", "copycat"])
def test_thieves_ask_about_photographs(name: str) -> None:
    sent = queries_of(context(name, 50))
    pool = {row.tobytes() for row in np.round(photo_patches(), 4).astype(np.float32)}
    assert len(sent) == 50
    assert all(row.tobytes() in pool for row in sent.astype(np.float32))


class _Shares(Oracle):
    """Remembers how much had been sent when each target's share began."""

    def allow(self, queries: int) -> None:
        self.begun = [*getattr(self, "begun", []), len(self.queries)]
        super().allow(queries)


@pytest.mark.parametrize("name", ["hopskipjump", "boundary", "square", "zoo"])
def test_iterative_attacks_share_their_budget_among_targets(name: str) -> None:
    oracle = _Shares(served_model("digits"), 90)
    queries_of(replace(context(name, 90, targets=3), oracle=oracle))
    assert len(oracle.begun) == 3
    assert oracle.begun[1] <= 30
    assert oracle.begun[2] <= 60


def test_the_oracle_sends_what_it_may_and_then_ends() -> None:
    oracle = Oracle(served_model("digits"), 5)
    assert oracle.scores(np.zeros((3, 64))).shape == (3, 10)
    with pytest.raises(BudgetSpent):
        oracle.scores(np.ones((3, 64)))
    assert len(oracle.queries) == 5
    assert oracle.left == 0


def test_an_allowance_never_exceeds_the_budget() -> None:
    oracle = Oracle(served_model("digits"), 5)
    oracle.allow(2)
    with pytest.raises(BudgetSpent):
        oracle.scores(np.zeros((4, 64)))
    assert len(oracle.queries) == 2
    oracle.allow(100)
    with pytest.raises(BudgetSpent):
        oracle.scores(np.zeros((4, 64)))
    assert len(oracle.queries) == 5


def test_ordinary_pictures_are_mixed_in() -> None:
    attacker = Attacker("x", "pgd", "digits", "192.0.2.9", 0.0, 60, 5.0, ordinary_share=0.4)
    events = simulate(Scenario("test", 600.0, 0.0, "b", (), (attacker,)), 1).events
    assert 60 * 1.2 < len(events) < 60 * 2.4


def test_unknown_attack_lists_the_names() -> None:
    with pytest.raises(ScenarioError, match="no attack 'x'; there are boundary, copycat"):
        attack_scenario("x")


def test_families_are_those_of_the_findings() -> None:
    assert {scenario.family for scenario in ATTACKS.values()} == {
        Attack.EVASION,
        Attack.EXTRACTION,
        Attack.INFERENCE,
    }


def test_without_the_toolbox_honest_traffic_works_and_attacks_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in list(sys.modules):
        if module.partition(".")[0] == "art" or module.startswith("replay.simulate.attacks."):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "art", None)
    honest = HonestClient("a", "ordinary", "digits", "192.0.2.1")
    assert simulate(Scenario("test", 60.0, 0.0, "b", (honest,)), 1).events
    attacker = Attacker("x", "pgd", "digits", "192.0.2.9", 0.0, 5, 5.0)
    with pytest.raises(MissingExtraError, match=r"pip install 'vedette\[simulate\]'"):
        simulate(Scenario("test", 60.0, 0.0, "b", (honest,), (attacker,)), 1)
