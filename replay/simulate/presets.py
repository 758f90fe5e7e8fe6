"""The scenarios by name: ``demo``, ``clean`` and ``demo-small``, and two for each data set of ``query_patterns``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from replay.simulate import query_patterns
from replay.simulate.crowd import addresses, crowd
from replay.simulate.scenario import Attacker, Habit, HonestClient, Scenario, ScenarioError, Shift

#: 21 November 2025, 09:00 UTC: recordings are the same whenever they are made.
DEMO_START_TS: Final = 1_763_715_600.0
CLEAN_START_TS: Final = DEMO_START_TS - 86_400.0

_Crowd = dict[Habit, int]


def _behind_one_address(clients: list[HonestClient], members: tuple[int, ...], ip: str) -> list[HonestClient]:
    """The same clients, those at the given places behind one shared (NAT) address."""
    return [
        HonestClient(one.client, one.habit, one.model, ip if place in members else one.ip)
        for place, one in enumerate(clients)
    ]


_V4 = ("192.0.2.{}", "198.51.100.{}", "203.0.113.{}")


def _demo() -> Scenario:
    digits: _Crowd = {"ordinary": 10, "occasional": 3, "batch": 2, "retrying": 2, "health-check": 1, "camera": 2}
    digits |= {"specialist": 2, "noisy-sensor": 2, "redelivered": 1}
    edge: _Crowd = {"ordinary": 12, "occasional": 1, "batch": 1, "retrying": 1, "camera": 1}
    edge |= {"specialist": 1, "noisy-sensor": 1}
    people = crowd("digits", "acct", 1, digits, addresses((*_V4, "2001:db8:7::{:x}"), 10))
    devices = crowd("digits-edge", "edge", 1, edge, addresses(("2001:db8:e::{:x}",), 16))
    attackers = (
        Attacker("acct-31", "hopskipjump", "digits", "203.0.113.66", 60.0, 700, 2.4),
        Attacker("acct-32", "hopskipjump", "digits", "198.51.100.77", 150.0, 600, 2.0, targets=3),
        Attacker("acct-33", "knockoff", "digits", "192.0.2.88", 120.0, 600, 1.6),
        Attacker("acct-34", "pgd", "digits", "2001:db8:bad::9", 90.0, 120, 0.5, ordinary_share=0.3),
    )
    return Scenario(
        name="demo",
        duration_s=600.0,
        start_ts=DEMO_START_TS,
        pool="b",
        honest=(*_behind_one_address(people, (3, 4, 20), "203.0.113.200"), *devices),
        attackers=attackers,
        shift=Shift("digits-edge", 330.0),
    )


def _clean() -> Scenario:
    digits: _Crowd = {"ordinary": 17, "occasional": 4, "batch": 3, "retrying": 3, "health-check": 1, "camera": 3}
    digits |= {"specialist": 3, "noisy-sensor": 3, "redelivered": 2}
    edge: _Crowd = {"ordinary": 12, "occasional": 2, "batch": 1, "retrying": 2, "camera": 2}
    edge |= {"specialist": 1, "noisy-sensor": 1}
    people = crowd("digits", "acct", 101, digits, addresses((*_V4, "2001:db8:8::{:x}"), 100))
    devices = crowd("digits-edge", "edge", 101, edge, addresses(("2001:db8:f::{:x}",), 256))
    return Scenario(
        name="clean",
        duration_s=900.0,
        start_ts=CLEAN_START_TS,
        pool="a",
        honest=(*_behind_one_address(people, (5, 6, 28), "198.51.100.201"), *devices),
    )


def _demo_small() -> Scenario:
    digits: _Crowd = {"ordinary": 2, "batch": 1, "retrying": 1, "health-check": 1, "camera": 1, "redelivered": 1}
    edge: _Crowd = {"ordinary": 2, "camera": 1}
    ips = addresses(_V4, 10)
    return Scenario(
        name="demo-small",
        duration_s=120.0,
        start_ts=DEMO_START_TS,
        pool="b",
        honest=(*crowd("digits", "acct", 1, digits, ips), *crowd("digits-edge", "edge", 1, edge, ips)),
        attackers=(
            Attacker("acct-31", "hopskipjump", "digits", "203.0.113.66", 10.0, 120, 2.0),
            Attacker("acct-33", "knockoff", "digits", "192.0.2.88", 20.0, 120, 2.0),
            Attacker("acct-34", "pgd", "digits", "2001:db8:bad::9", 15.0, 30, 0.5, ordinary_share=0.3),
        ),
        shift=Shift("digits-edge", 60.0),
    )


_PRESETS: Final[dict[str, Callable[[], Scenario]]] = {"demo": _demo, "clean": _clean, "demo-small": _demo_small}
for _model in ("mnist", "tumours", "claims", "embeddings"):
    _PRESETS[_model] = partial(query_patterns.attacked, _model)
    _PRESETS[f"{_model}-clean"] = partial(query_patterns.clean, _model)

PRESET_NAMES: Final = tuple(_PRESETS)


def preset(name: str) -> Scenario:
    """The preset of that name. Raises ScenarioError, listing the names there are."""
    if name not in _PRESETS:
        raise ScenarioError(f"no scenario {name!r}; there are {', '.join(PRESET_NAMES)}")
    return _PRESETS[name]()
