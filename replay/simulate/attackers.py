"""Attacking clients: runs an attack against the served model and paces its queries as traffic."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from replay.simulate.attacks.context import AttackContext
from replay.simulate.attacks.registry import attack_scenario
from replay.simulate.habits import Request
from replay.simulate.images import Images
from replay.simulate.oracle import BudgetSpent, Oracle, seeded_globals
from replay.simulate.scenario import Attacker
from replay.simulate.sensor import Sensor
from replay.simulate.served import served_model


def attack_requests(spec: Attacker, images: Images, rng: np.random.Generator, duration_s: float) -> list[Request]:
    """The attack's queries in the order it made them, with gamma gaps of mean ``1 / rate_per_s``.

    ``ordinary_share`` of the requests are ordinary pictures at random places in between. What falls after
    ``duration_s`` is not sent. Raises ScenarioError for an unknown attack, MissingExtraError without the libraries.
    """
    run = attack_scenario(spec.attack).load()
    oracle = Oracle(served_model(spec.model), spec.queries)
    context = AttackContext(spec, oracle, images, Sensor.draw(rng), rng)
    with seeded_globals(int(rng.integers(2**32))), suppress(BudgetSpent):
        run(context)
    requests: list[Request] = []
    at_s = spec.start_s
    for query in oracle.queries:
        while rng.random() < spec.ordinary_share:
            picture = context.sensor.capture(images.x[int(rng.integers(len(images)))], 0.0)
            requests.append(Request(at_s, picture))
            at_s += float(rng.gamma(2.0, 0.5 / spec.rate_per_s))
        requests.append(Request(at_s, query))
        at_s += float(rng.gamma(2.0, 0.5 / spec.rate_per_s))
    return [request for request in requests if request.at_s < duration_s]
