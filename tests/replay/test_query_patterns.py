from collections import Counter

import numpy as np
import pytest

from monitor.event import Event
from replay.simulate import Scenario, preset, simulate
from replay.simulate.attacks.registry import ATTACKS
from replay.simulate.query_patterns import (
    ACCOUNTS,
    LEFT_OUT,
    VARIANTS,
    attacked,
    clean,
    is_iterative,
    variant_of,
)


@pytest.fixture(scope="module")
def honest_day() -> list[Event]:
    """The honest clients of one recording, without its attackers."""
    scenario = attacked("tumours")
    return simulate(Scenario("t", 7200.0, 0.0, "b", scenario.honest, retry_share=0.03, pace=scenario.pace), 1).events


def of(events: list[Event], client: str) -> list[Event]:
    return [event for event in events if event.client_id == client]


@pytest.mark.parametrize("model", ["mnist", "tumours", "claims", "embeddings"])
def test_every_attack_that_fits_comes_in_each_variant_and_ends_in_time(model: str) -> None:
    scenario = attacked(model)
    fitting = {
        name for name, a in ATTACKS.items() if name not in LEFT_OUT and (model == "mnist" or not a.pictures_only)
    }
    assert {one.client for one in scenario.attackers} == {
        f"{name}.{variant}" for name in fitting for variant in VARIANTS
    }
    assert preset(model) == scenario
    for one in scenario.attackers:
        assert variant_of(one.client)[0] == one.attack
        requests = one.queries / (1.0 - one.ordinary_share)
        assert one.start_s + 1.05 * requests / one.rate_per_s < scenario.duration_s
        assert (one.accounts == ACCOUNTS) == one.client.endswith(".spread")
    rates = {variant_of(one.client)[1]: one.rate_per_s for one in scenario.attackers}
    assert rates["plain"] == pytest.approx(10 * rates["slowed"])


def test_an_attacker_has_a_known_variant() -> None:
    assert variant_of("zoo.slowed") == ("zoo", "slowed")
    for name in ("zoo", "zoo.fast", ".plain"):
        with pytest.raises(ValueError, match=r"ATTACK\.VARIANT"):
            variant_of(name)


def test_iterative_attacks_are_those_that_search() -> None:
    assert is_iterative("hopskipjump")
    assert is_iterative("line-search")
    assert is_iterative("membership-noise")
    assert not is_iterative("knockoff")


@pytest.mark.parametrize("model", ["claims", "embeddings"])
def test_clean_traffic_shares_no_client_address_or_example_with_what_is_judged(model: str) -> None:
    one, other = attacked(model), clean(model)
    assert one.pool != other.pool
    assert not {c.client for c in one.honest} & {c.client for c in other.honest}
    assert not {c.ip for c in one.honest} & {c.ip for c in other.honest}
    assert len({c.ip for c in one.honest}) == len(one.honest) >= 40
    assert len(other.honest) >= 100
    assert not other.attackers


def test_all_hard_cases_are_among_the_honest() -> None:
    habits = Counter(one.habit for one in attacked("mnist").honest)
    assert set(habits) >= {"batch", "retrying", "health-check", "camera", "specialist", "noisy-sensor", "migrating"}


def test_interleaved_queries_hide_among_four_times_as_many() -> None:
    scenario = attacked("tumours")
    one = next(a for a in scenario.attackers if a.client == "knockoff.interleaved")
    simulated = simulate(Scenario("t", scenario.duration_s, 0.0, "b", (), (one,)), 1)
    own = len(simulated.events) - len(simulated.camouflage)
    assert own == one.queries
    assert len(simulated.camouflage) / own == pytest.approx(4.0, rel=0.15)


def test_partners_send_the_same_payloads_from_two_accounts_moments_apart(honest_day: list[Event]) -> None:
    one, other = (
        list({event.x.tobytes(): event for event in of(honest_day, f"partner-b-01-{side}")}.values()) for side in "ab"
    )
    later = {event.x.tobytes(): event.ts for event in other}
    delays = [later[event.x.tobytes()] - event.ts for event in one if event.x.tobytes() in later]
    assert len(delays) >= len(one) - 1 > 50
    assert 0.0 < min(delays) <= max(delays) <= 0.51


def test_a_migrating_client_has_a_new_address_from_the_middle_on(honest_day: list[Event]) -> None:
    client = next(one for one in attacked("tumours").honest if one.habit == "migrating")
    before = {event.client_ip for event in of(honest_day, client.client) if event.ts < 3600.0}
    after = {event.client_ip for event in of(honest_day, client.client) if event.ts >= 3601.5}
    assert before == {client.ip}
    assert after == {client.new_ip}


def test_three_in_a_hundred_ordinary_requests_are_sent_again(honest_day: list[Event]) -> None:
    again = total = 0
    for one in attacked("tumours").honest:
        if one.habit in ("ordinary", "occasional") and not one.twin_of:
            sent = [event.x.tobytes() for event in of(honest_day, one.client)]
            again, total = again + len(sent) - len(set(sent)), total + len(set(sent))
    assert again / total == pytest.approx(0.03, abs=0.012)


def test_pace_slows_honest_clients_down(honest_day: list[Event]) -> None:
    checks = [event.ts for event in of(honest_day, next(e.client_id for e in honest_day if "health" in e.client_id))]
    assert np.median(np.diff(checks)) == pytest.approx(40.0, abs=0.2)
