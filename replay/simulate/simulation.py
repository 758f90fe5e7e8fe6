"""A scenario played out: every client's requests, answered by the served models, in the order they arrive."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from detectors.finding import stable_id
from monitor.event import Event
from replay.labels import BENIGN, Labels
from replay.simulate.attackers import attack_requests
from replay.simulate.attacks.registry import attack_scenario
from replay.simulate.datasets.space import DECIMALS
from replay.simulate.habits import Request, honest_requests
from replay.simulate.scenario import Attacker, HonestClient, Scenario, ScenarioError
from replay.simulate.served import served_model

#: Records of different clients may overtake one another by this much on their way to the topic, seconds.
MAX_DELAY_S = 2.0

Progress = Callable[[int, int], None]


class Simulated(msgspec.Struct, frozen=True, eq=False):
    """A recording in the order of arrival, and the truth about it.

    ``camouflage``: ids of attackers' ordinary requests, sent between their queries.
    """

    events: list[Event]
    labels: Labels
    camouflage: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class _Record:
    arrives_s: float
    client: str
    number: int
    event: Event
    camouflage: bool = False


def simulate(scenario: Scenario, seed: int, progress: Progress | None = None) -> Simulated:
    """Plays out ``scenario``; the same seed and library versions give the same events to the bit.

    Each client draws from a generator of its own, seeded by ``seed`` and its id, so that adding one client leaves the
    others' traffic as it was. ``progress(done, total)`` is called after each client.

    Raises MissingExtraError if the scenario has attackers and the extra ``simulate`` is missing; ScenarioError for
    unknown models or attacks and for clients listed twice.
    """
    everybody: tuple[HonestClient | Attacker, ...] = (*scenario.honest, *scenario.attackers)
    names = [one.client for one in everybody]
    if len(set(names)) != len(names):
        raise ScenarioError("a client is listed twice in the scenario")
    records: list[_Record] = []
    for done, one in enumerate(everybody, start=1):
        records += _client_records(scenario, one, seed)
        if progress is not None:
            progress(done, len(everybody))
    records.sort(key=lambda record: (record.arrives_s, record.client, record.number))
    clients = {one.client: BENIGN for one in scenario.honest}
    for one in scenario.attackers:
        clients |= dict.fromkeys(one.members, attack_scenario(one.attack).label(one.attack))
    groups = {one.client: one.members for one in scenario.attackers if one.accounts > 1}
    onset = {scenario.shift.model: scenario.start_ts + scenario.shift.onset_s} if scenario.shift else {}
    return Simulated(
        [record.event for record in records],
        Labels(clients=clients, shift_onset=onset, groups=groups),
        frozenset(record.event.id for record in records if record.camouflage),
    )


def _client_records(scenario: Scenario, one: HonestClient | Attacker, seed: int) -> list[_Record]:
    rng = _generator(seed, one.client)
    data = served_model(one.model).data
    images = data.split.pool(scenario.pool)
    if isinstance(one, Attacker):
        requests = attack_requests(one, images, rng, scenario.duration_s)
    else:
        payloads = _generator(seed, one.twin_of) if one.twin_of else rng
        dirty_from_s = scenario.shift.onset_s if scenario.shift and scenario.shift.model == one.model else math.inf
        requests = honest_requests(one.habit, data, images, payloads, scenario.duration_s, dirty_from_s, scenario.pace)
        requests = _as_sent(scenario, one, requests, rng)
    return _records(scenario, one, requests, rng, f"{scenario.name}/{seed}")


def _as_sent(scenario: Scenario, one: HonestClient, requests: list[Request], rng: np.random.Generator) -> list[Request]:
    """The requests of an honest client with what its habit does not know: a twin's delay, a new address, retries."""
    if one.twin_of:
        requests = [replace(r, at_s=r.at_s + float(rng.uniform(0.05, 0.5))) for r in requests]
    if one.new_ip:
        requests = [replace(r, ip=one.new_ip) if r.at_s >= scenario.duration_s / 2 else r for r in requests]
    if scenario.retry_share:
        again = rng.random(len(requests)) < scenario.retry_share
        retries = [
            replace(r, at_s=r.at_s + float(rng.uniform(0.5, 1.5))) for r, a in zip(requests, again, strict=True) if a
        ]
        requests = sorted([*requests, *retries], key=lambda request: request.at_s)
    return [request for request in requests if request.at_s < scenario.duration_s]


def _records(
    scenario: Scenario, one: HonestClient | Attacker, requests: list[Request], rng: np.random.Generator, run: str
) -> list[_Record]:
    if not requests:
        return []
    model = served_model(one.model)
    inputs = np.round(np.stack([request.x for request in requests]), DECIMALS)
    scores = model.scores(inputs)
    labels = scores.argmax(axis=1)
    records: list[_Record] = []
    arrives_s = 0.0
    for number, request in enumerate(requests):
        if request.redelivered:
            arrives_s = min(arrives_s + float(rng.uniform(0.2, 1.0)), request.at_s + MAX_DELAY_S)
            records.append(_Record(arrives_s, one.client, number, records[-1].event))
            continue
        delay_s = min(float(rng.exponential(0.15)), MAX_DELAY_S)
        arrives_s = max(arrives_s, request.at_s + delay_s)  # a client's records keep their order
        event = Event(
            id=stable_id("r", run, one.client, str(number)),
            ts=round(scenario.start_ts + request.at_s, 3),
            model=model.name,
            x=inputs[number : number + 1].astype(np.float32),
            shape=model.data.space.shape,
            version=model.version,
            client_id=request.client or one.client,
            client_ip=request.ip or one.ip,
            scores=scores[number : number + 1].astype(np.float32),
            labels=labels[number : number + 1].astype(np.int64),
        )
        records.append(_Record(arrives_s, one.client, number, event, request.camouflage))
    return records


def _generator(seed: int, client: str) -> np.random.Generator:
    digest = hashlib.blake2b(client.encode(), digest_size=8).digest()
    return np.random.default_rng([seed, int.from_bytes(digest, "little")])
