"""Attacking clients: runs an attack against the served model and paces its queries as traffic."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address

import numpy as np

from replay.simulate.attacks.context import AttackContext
from replay.simulate.attacks.registry import attack_scenario
from replay.simulate.datasets.examples import Examples
from replay.simulate.habits import Request
from replay.simulate.oracle import BudgetSpent, Oracle, seeded_globals
from replay.simulate.scenario import Attacker, ScenarioError
from replay.simulate.served import served_model


def attack_requests(spec: Attacker, images: Examples, rng: np.random.Generator, duration_s: float) -> list[Request]:
    """The attack's queries in the order it made them, with gamma gaps of mean ``1 / rate_per_s``.

    ``ordinary_share`` of the requests are ordinary ones at random places in between. Queries of several
    accounts are dealt out at random, and each account rotates its addresses. What falls after
    ``duration_s`` is not sent. Raises ScenarioError for an unknown attack or one that does not fit the model,
    MissingExtraError without the libraries.
    """
    attack = attack_scenario(spec.attack)
    run = attack.load()
    oracle = Oracle(served_model(spec.model), spec.queries)
    data = oracle.model.data
    if attack.pictures_only and not data.space.is_picture:
        raise ScenarioError(f"attack {spec.attack!r} is one on pictures, and the inputs of {spec.model!r} are none")
    context = AttackContext(spec, oracle, images, data.device(rng), rng)
    with seeded_globals(int(rng.integers(2**32))), suppress(BudgetSpent):
        run(context)
    requests: list[Request] = []
    at_s = spec.start_s
    for query in oracle.queries:
        while rng.random() < spec.ordinary_share:
            picture = context.sensor.capture(images.x[int(rng.integers(len(images)))], 0.0)
            requests.append(Request(at_s, picture, camouflage=True))
            at_s += float(rng.gamma(2.0, 0.5 / spec.rate_per_s))
        requests.append(Request(at_s, query))
        at_s += float(rng.gamma(2.0, 0.5 / spec.rate_per_s))
    if spec.accounts > 1:
        requests = _dealt(requests, spec, rng)
    return [request for request in requests if request.at_s < duration_s]


def _dealt(requests: list[Request], spec: Attacker, rng: np.random.Generator) -> list[Request]:
    """Each request from one of the accounts, from an address of a block of 64 (RFC 3849) that the group rotates in."""
    block = f"2001:db8:bad:{hashlib.blake2b(spec.client.encode(), digest_size=2).hexdigest()}"
    members, hosts = rng.integers(spec.accounts, size=len(requests)), rng.integers(1, 65, size=len(requests))
    return [
        replace(request, client=spec.members[member], ip=str(ip_address(f"{block}::{host:x}")))
        for request, member, host in zip(requests, members.tolist(), hosts.tolist(), strict=True)
    ]
