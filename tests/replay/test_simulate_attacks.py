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


def row_context(name: str, model: str, queries: int, targets: int = 2) -> AttackContext:
    attacker = Attacker("x", name, model, "192.0.2.9", 0.0, queries, 5.0, targets=targets)
    rng, served = np.random.default_rng(5), served_model(model)
    return AttackContext(attacker, Oracle(served, queries), served.data.split.b, served.data.device(rng), rng)


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


@pytest.mark.parametrize("model", ["tumours", "claims", "embeddings"])
@pytest.mark.parametrize("name", sorted(set(ATTACKS) - {"pgd", "fgm"}))
def test_every_attack_sends_rows_that_a_table_service_takes_or_says_that_it_is_one_on_pictures(
    name: str, model: str
) -> None:
    space = served_model(model).data.space
    if ATTACKS[name].pictures_only:
        attacker = Attacker("x", name, model, "192.0.2.9", 0.0, 60, 5.0)
        with pytest.raises(ScenarioError, match="pictures"):
            simulate(Scenario("test", 600.0, 0.0, "b", (), (attacker,)), 1)
        return
    sent = queries_of(row_context(name, model, 60))
    assert 10 < len(sent) <= 60
    assert np.all((sent >= np.round(space.low, 4)) & (sent <= np.round(space.high, 4)))
    np.testing.assert_array_equal(sent[:, space.whole], np.round(sent[:, space.whole]))


@pytest.mark.parametrize("name", ["signopt", "geoda"])
def test_label_only_searches_come_closer_while_the_label_stays_wrong(name: str) -> None:
    work = context(name, 600)
    sent = queries_of(work)
    labels = work.oracle.model.scores(sent).argmax(axis=1)
    distance, wrong = np.linalg.norm(sent - sent[0], axis=1), labels != labels[0]
    assert distance[wrong].min() < 0.75 * distance[wrong][0]


def test_simba_lowers_the_score_of_the_class_step_by_step() -> None:
    work = context("simba", 120, eps=0.2)
    sent = queries_of(work)
    scores = work.oracle.model.scores(sent)
    kept = np.minimum.accumulate(scores[:, scores[0].argmax()])
    assert kept[-1] < 0.5 * kept[0]


def test_jacobian_augmentation_moves_known_inputs_by_a_tenth() -> None:
    sent = queries_of(context("jacobian-augmentation", 180))
    first, moved = sent[:50], sent[50:100]
    np.testing.assert_allclose(np.abs(moved - first).max(axis=1), 0.1, atol=2e-4)


def test_mixtures_lie_between_two_own_examples() -> None:
    own, _ = context("mixup", 40).own_examples(60)
    for row in queries_of(context("mixup", 40)):
        i = int(np.linalg.norm(own - row, axis=1).argmin())  # the nearer of the two, or one beside it
        lines = own - own[i]
        share = np.clip((lines @ (row - own[i])) / np.maximum((lines**2).sum(axis=1), 1e-9), 0.0, 1.0)
        off = np.linalg.norm(own[i] + share[:, None] * lines - row, axis=1).min()
        assert off < 0.5 * np.linalg.norm(own - own[i], axis=1)[np.arange(60) != i].min()


def test_membership_candidates_are_training_examples_and_others_in_turn() -> None:
    sent = queries_of(context("membership-noise", 98))
    digits = served_model("digits").data.split
    train, traffic = ({row.tobytes() for row in np.round(part.x, 4)} for part in (digits.train, digits.b))
    assert sent[0].tobytes() in train
    assert sent[49].tobytes() in traffic


def test_membership_candidates_are_encoded_as_the_service_takes_them() -> None:
    sent = queries_of(row_context("membership-noise", "embeddings", 98))
    data = served_model("embeddings").data
    for query, part in ((sent[0], data.split.train), (sent[49], data.split.b)):
        assert np.abs(data.encoded(part.x) - query).max(axis=1).min() < 2e-4


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


def test_searches_start_where_the_service_answers_otherwise() -> None:
    """A library that has to look for such a start draws from a generator that no seed reaches."""
    work = row_context("hopskipjump", "claims", 80, targets=40)
    pairs: list[tuple[Array, Array]] = []
    work.for_each_target(lambda picture, start: pairs.append((picture, start)))
    assert len(pairs) == 40
    pictures, starts = (work.space.to_wire(np.concatenate(side)) for side in zip(*pairs, strict=True))
    answers, other_answers = (work.oracle.model.scores(x).argmax(axis=1) for x in (pictures, starts))
    assert (answers != other_answers).all()
    assert not work.oracle.queries


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


def test_ordinary_pictures_are_mixed_in_and_known() -> None:
    attacker = Attacker("x", "pgd", "digits", "192.0.2.9", 0.0, 60, 5.0, ordinary_share=0.4)
    simulated = simulate(Scenario("test", 600.0, 0.0, "b", (), (attacker,)), 1)
    assert 60 * 1.2 < len(simulated.events) < 60 * 2.4
    assert len(simulated.events) - len(simulated.camouflage) == 60
    assert simulated.camouflage < {event.id for event in simulated.events}


def test_an_attack_spread_over_accounts_is_one_group_of_clients_with_addresses_that_rotate() -> None:
    attacker = Attacker("ring", "knockoff", "digits", "192.0.2.9", 0.0, 200, 5.0, accounts=5)
    simulated = simulate(Scenario("test", 600.0, 0.0, "b", (), (attacker,)), 1)
    members = {event.client_id for event in simulated.events}
    assert members == set(attacker.members) == {f"ring-0{i}" for i in range(1, 6)}
    assert simulated.labels.groups == {"ring": attacker.members}
    assert {simulated.labels.clients[member] for member in members} == {"extraction:knockoff"}
    one = {event.client_ip for event in simulated.events if event.client_id == "ring-01"}
    assert len(one) > 10


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
