from bench.quality.methods import Accusation, Said
from bench.quality.scores import Scored, score
from bench.quality.tables import publish_all
from bench.quality.truth import AttackerTruth, Truth, truth_of
from bench.results import Table
from bench.stream.goals import Run
from replay.simulate import Attacker, HonestClient, Scenario, simulate

ALONE = AttackerTruth("zoo.plain", "evasion", "zoo", "plain", "", ("zoo.plain",), (10.0, 20.0, 30.0, 40.0))
RING = AttackerTruth(
    "mixup.spread", "extraction", "mixup", "spread", "mixup.spread", ("m-1", "m-2", "m-3", "m-4"), (1.0, 2.0, 3.0, 4.0)
)
TRUTH = Truth((ALONE, RING), {"h-1": "camera", "h-2": "ordinary"}, 0.5)


def scored(*accusations: Accusation) -> Scored:
    return score("tumours", 1, Said("Vedette", list(accusations), 5.0), TRUTH)


def test_queries_until_found_count_those_up_to_the_finding() -> None:
    alone, _ = scored(
        Accusation(30.0, ("zoo.plain",), False, "rate"), Accusation(20.0, ("zoo.plain",), False, "x")
    ).caught
    assert (alone.queries, alone.budget, alone.by) == (2, 4, "x")


def test_nobody_accused_nobody_found() -> None:
    one = scored()
    assert [caught.found for caught in one.caught] == [False, False]
    assert not one.flagged
    assert one.client_days == 1.0


def test_a_group_is_found_when_it_is_named_with_whom() -> None:
    _, ring = scored(Accusation(3.0, ("m-1", "m-2", "m-3", "h-1"), True, "join")).caught
    assert (ring.found, ring.as_group, ring.named, ring.strangers, ring.queries) == (True, True, 0.75, 1, 3)


def test_a_group_is_found_when_half_of_it_is_accused_one_by_one() -> None:
    first, second = (Accusation(float(ts), (f"m-{ts}",), False, "near") for ts in (1, 2))
    assert not scored(first).caught[1].found
    _, ring = scored(first, second).caught
    assert (ring.found, ring.as_group, ring.queries) == (True, False, 2)


def test_a_group_of_mostly_others_is_no_finding_of_this_one() -> None:
    _, ring = scored(Accusation(3.0, ("m-1", "m-2", "h-1", "h-2"), True, "join")).caught
    assert not ring.as_group


def test_honest_clients_are_flagged_once_by_the_first_accuser_in_groups_too() -> None:
    one = scored(Accusation(9.0, ("h-1",), False, "late"), Accusation(3.0, ("m-1", "m-2", "m-3", "h-1"), True, "join"))
    assert one.flagged == {"h-1": ("camera", "join")}


class _Kept(Run):
    def publish(self, table: Table) -> None:
        self.tables = [*getattr(self, "tables", []), table]


def test_tables_have_their_ids_and_name_what_falls_short(tmp_path) -> None:  # type: ignore[no-untyped-def]  # tests are not typed
    run = _Kept(tmp_path, "python -m bench.quality")
    publish_all(run, [scored(Accusation(20.0, ("zoo.plain",), False, "x"), Accusation(5.0, ("h-2",), False, "y"))])
    assert [table.id for table in run.tables] == [
        "quality-found",
        "quality-honest",
        "quality-queries",
        "quality-accounts",
    ]
    short = "\n".join(run.short)
    assert "quality-found, mixup: 0" in short
    assert "quality-found, zoo" not in short
    assert "quality-honest, a day: 1," in short
    assert "quality-accounts, named as one group" in short


def test_truth_knows_accounts_queries_and_habits() -> None:
    honest = (
        HonestClient("h", "camera", "digits", "192.0.2.1"),
        HonestClient("partner-1-a", "ordinary", "digits", "192.0.2.2"),
    )
    attackers = (
        Attacker("knockoff.interleaved", "knockoff", "digits", "192.0.2.3", 0.0, 20, 2.0, ordinary_share=0.5),
        Attacker("knockoff.spread", "knockoff", "digits", "192.0.2.4", 0.0, 40, 2.0, accounts=3),
    )
    scenario = Scenario("t", 300.0, 0.0, "b", honest, attackers)
    truth = truth_of(scenario, simulate(scenario, 1))
    assert truth.honest == {"h": "camera", "partner-1-a": "A/B partner"}
    hidden, ring = truth.attackers
    assert (hidden.variant, hidden.group, len(hidden.query_ts)) == ("interleaved", "", 20)
    assert (ring.variant, ring.group, len(ring.query_ts)) == ("spread", "knockoff.spread", 40)
    assert ring.accounts == tuple(f"knockoff.spread-0{i}" for i in (1, 2, 3))
    assert list(ring.query_ts) == sorted(ring.query_ts)
