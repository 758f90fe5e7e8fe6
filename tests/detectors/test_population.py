"""What many clients share accuses none of them; what a few do is not excused by the rest."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.alarm import Hits
from detectors.population import CLIENTS, FEWEST, Population

BOUNDS = np.array([[0.05, 0.01], [0.3, 0.02]])
HIT, MISS, SILENT = [1, 1], [0, 0], [-1, -1]


def rows(*hits: list[int]) -> Hits:
    """Hits of the first detector; the second one misses throughout."""
    return np.array([[hit, MISS] for hit in hits], dtype=np.int8)


def after(population: Population, hits: list[list[int]], clients: list[str], found: set[str] | None = None) -> object:
    return population.advance(rows(*hits), clients, found or set())


def test_usual_traffic_leaves_the_rates_alone() -> None:
    population = Population(BOUNDS)
    clients = [f"c{i % 30}" for i in range(300)]
    assert after(population, [HIT if i % 25 == 0 else MISS for i in range(300)], clients) is None


def test_when_most_others_hit_the_rate_becomes_theirs() -> None:
    population = Population(BOUNDS)
    clients = [f"c{i}" for i in range(20)]
    after(population, [HIT] * 20, clients)
    raised = population.advance(rows(HIT), ["c3"], set())
    assert raised is not None
    assert (raised[0, 0] > 0.95).all()
    np.testing.assert_array_equal(raised[0, 1], BOUNDS[1])


def test_a_client_is_not_among_its_own_others() -> None:
    """One client who hits all the time moves nobody's rate, least of all its own."""
    population = Population(BOUNDS)
    clients = [name for i in range(40) for name in ("attacker", f"c{i % 20}")]
    assert after(population, [HIT, MISS] * 40, clients) is None


def test_a_few_attackers_among_many_are_not_excused() -> None:
    population = Population(BOUNDS)
    clients = [f"c{i}" for i in range(30)]
    assert after(population, [HIT if i >= 26 else MISS for i in range(30)] * 5, clients * 5) is None


def test_too_few_others_prove_nothing() -> None:
    population = Population(BOUNDS)
    clients = [f"c{i}" for i in range(FEWEST)]
    assert after(population, [HIT] * 10 * FEWEST, clients * 10) is None


def test_found_clients_no_longer_count() -> None:
    population = Population(BOUNDS)
    clients = [f"c{i}" for i in range(12)]
    after(population, [HIT] * 12, clients)
    for client in clients[:10]:
        population.drop(client)
    assert after(population, [HIT], ["new"]) is None
    assert after(population, [HIT] * 12, clients, found=set(clients)) is None


def test_rows_without_opinion_do_not_count() -> None:
    population = Population(BOUNDS)
    clients = [f"c{i}" for i in range(12)]
    after(population, [HIT] * 12, clients)
    assert after(population, [SILENT] * 12, clients) is None
    assert population.advance(rows(HIT), ["c0"], set()) is not None


def test_only_the_latest_clients_are_remembered() -> None:
    population = Population(BOUNDS)
    after(population, [HIT] * 10, [f"old{i}" for i in range(10)])
    after(population, [MISS] * CLIENTS, [f"new{i}" for i in range(CLIENTS)])
    assert after(population, [HIT], ["c"]) is None
    assert len(population.snapshot()) < 2 * CLIENTS * 20


STREAM = st.lists(st.tuples(st.sampled_from([HIT, MISS, [1, 0], SILENT]), st.integers(0, 40)), max_size=120)


@settings(deadline=None)
@given(stream=STREAM, point=st.integers(0, 120))
def test_cutting_the_rows_or_storing_between_changes_nothing(stream: list[tuple[list[int], int]], point: int) -> None:
    hits = rows(*(hit for hit, _ in stream)).reshape(-1, 2, 2)
    clients = [f"c{c}" for _, c in stream]
    whole = Population(BOUNDS)
    expected = whole.advance(hits, clients, {"c1"})
    first = Population(BOUNDS)
    one = first.advance(hits[:point], clients[:point], {"c1"})
    second = Population(BOUNDS)
    second.restore(first.snapshot())
    other = second.advance(hits[point:], clients[point:], {"c1"})
    usual = np.broadcast_to(BOUNDS, hits.shape)
    joined = [usual[:point] if one is None else one, usual[point:] if other is None else other]
    np.testing.assert_array_equal(np.concatenate(joined), usual if expected is None else expected)
    assert second.snapshot() == whole.snapshot()


def test_a_copy_goes_its_own_way() -> None:
    population = Population(BOUNDS)
    after(population, [HIT] * 5, list("abcde"))
    before = population.snapshot()
    after(population.copy(), [HIT] * 5, list("fghij"))
    assert population.snapshot() == before


def test_a_snapshot_of_other_detectors_is_left_aside() -> None:
    other = Population(np.array([[0.1, 0.1, 0.1]]))
    other.advance(np.ones((3, 1, 3), dtype=np.int8), list("abc"), set())
    population = Population(BOUNDS)
    population.restore(other.snapshot())
    assert population.snapshot() == Population(BOUNDS).snapshot()
