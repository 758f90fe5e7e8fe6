"""Scenarios that put query-pattern detection to the test: every attack in four variants, and honest hard cases.

A data set has two: attacks among honest clients (pool ``b``), and clean traffic of other clients (pool ``a``) to
calibrate on. Both last eight hours of event time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final, Literal, get_args

from detectors.finding import Attack
from replay.simulate.attacks.registry import ATTACKS
from replay.simulate.crowd import addresses, crowd
from replay.simulate.datasets import data_set
from replay.simulate.scenario import Attacker, Habit, HonestClient, Scenario

#: ``slowed``: tenfold; ``interleaved``: four ordinary requests to each query; ``spread``: over 20 accounts.
Variant = Literal["plain", "slowed", "interleaved", "spread"]
VARIANTS: Final[tuple[Variant, ...]] = get_args(Variant)

ACCOUNTS: Final = 20
DURATION_S: Final = 8 * 3600.0
#: 22 November 2025, 09:00 UTC; clean traffic is a day older.
START_TS: Final = 1_763_802_000.0
#: Honest clients ask about every 50 s, health checks every 40 s.
_PACE: Final = 0.125
_RETRY_SHARE: Final = 0.03
_RATE_PER_S: Final = 0.4
_SLOW_RATE_PER_S: Final = 0.04
#: Queries of an attack, and of one that hides each among four ordinary requests.
_ITERATIVE: Final = (400, 200)
_EXTRACTION: Final = (1000, 500)
#: Searches from example to example, or from boundary point to boundary point: as many queries as an evasion.
_SEARCHING: Final = frozenset({"line-search"})
#: White-box attacks send each input once and leave no pattern; copycat's queries are those of knockoff.
LEFT_OUT: Final = frozenset({"pgd", "fgm", "copycat"})

_HABITS: Final[dict[Habit, int]] = {
    "ordinary": 16,
    "occasional": 6,
    "batch": 6,
    "retrying": 4,
    "health-check": 3,
    "camera": 5,
    "specialist": 6,
    "noisy-sensor": 4,
    "redelivered": 2,
    "migrating": 4,
}
_PARTNERS: Final = 2


def attacked(model: str) -> Scenario:
    """Every attack that fits the model in each variant, among 56 honest clients and two that test by two accounts.

    An attacker is named ``ATTACK.VARIANT``. Raises as ``served_model`` does.
    """
    return Scenario(
        name=model,
        duration_s=DURATION_S,
        start_ts=START_TS,
        pool="b",
        honest=tuple(_honest(model, "b", 1)),
        attackers=tuple(_attackers(model)),
        retry_share=_RETRY_SHARE,
        pace=_PACE,
    )


def clean(model: str) -> Scenario:
    """Twice as many honest clients, none of whom, and no example of whose, is in ``attacked``."""
    return Scenario(
        name=f"{model}-clean",
        duration_s=DURATION_S,
        start_ts=START_TS - 86_400.0,
        pool="a",
        honest=tuple(_honest(model, "a", 2)),
        retry_share=_RETRY_SHARE,
        pace=_PACE,
    )


def variant_of(attacker: str) -> tuple[str, Variant]:
    """``zoo.slowed`` → ``("zoo", "slowed")``. Raises ValueError for anything else."""
    attack, _, variant = attacker.rpartition(".")
    for known in VARIANTS:
        if attack and variant == known:
            return attack, known
    raise ValueError(f"{attacker!r} is not ATTACK.VARIANT")


def is_iterative(attack: str) -> bool:
    """Does it search from query to query, rather than ask about a pool of inputs?"""
    return attack in _SEARCHING or ATTACKS[attack].family is not Attack.EXTRACTION


def _honest(model: str, pool: str, times: int) -> Iterator[HonestClient]:
    ips = addresses((f"2001:db8:{pool}::{{:x}}", f"2001:db8:{pool}1::{{:x}}"), 16)
    for one in crowd(model, f"{pool}", 1, {habit: times * number for habit, number in _HABITS.items()}, ips):
        new_ip = next(ips) if one.habit == "migrating" else ""
        yield HonestClient(f"{one.habit}-{one.client}", one.habit, model, one.ip, new_ip)
    for number in range(1, times * _PARTNERS + 1):
        first = f"partner-{pool}-{number:02d}"
        yield HonestClient(f"{first}-a", "ordinary", model, next(ips))
        yield HonestClient(f"{first}-b", "ordinary", model, next(ips), twin_of=f"{first}-a")


def _attackers(model: str) -> Iterator[Attacker]:
    ips = addresses(("2001:db8:c::{:x}",), 16)
    pictures = data_set(model).space.is_picture
    for attack, scenario in ATTACKS.items():
        if attack in LEFT_OUT or (scenario.pictures_only and not pictures):
            continue
        for variant in VARIANTS:
            yield _attacker(f"{attack}.{variant}", attack, variant, model, next(ips))


def _attacker(client: str, attack: str, variant: Variant, model: str, ip: str) -> Attacker:
    queries = (_ITERATIVE if is_iterative(attack) else _EXTRACTION)[variant == "interleaved"]
    rate_per_s = _SLOW_RATE_PER_S if variant == "slowed" else _RATE_PER_S
    requests = queries * 5 if variant == "interleaved" else queries
    # Gaps are random: a tenth more than their mean is room enough for all of them.
    latest_s = DURATION_S - 1.1 * requests / rate_per_s
    share = hashlib.blake2b(f"{model}/{client}".encode(), digest_size=1).digest()[0] / 255
    return Attacker(
        client=client,
        attack=attack,
        model=model,
        ip=ip,
        start_s=round(60.0 + share * max(latest_s - 60.0, 0.0), 1),
        queries=queries,
        rate_per_s=rate_per_s,
        # Square attacks end as soon as the class flips: small steps and many targets keep one busy.
        targets=20 if attack == "square" else 2,
        eps=0.1 if attack == "square" else 0.3,
        ordinary_share=0.8 if variant == "interleaved" else 0.0,
        accounts=ACCOUNTS if variant == "spread" else 1,
    )
