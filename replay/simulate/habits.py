"""Habits of honest clients: when each sends a picture, and which."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from replay.simulate.datasets.examples import Array, Examples
from replay.simulate.datasets.registry import DataSet, Device
from replay.simulate.scenario import Habit


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One request: scenario time in seconds and input ``(d,)``; ``redelivered`` repeats the last one, id and all.

    ``client`` and ``ip``: who sends it and from where, where that is not as the scenario says of the client.
    ``camouflage``: an attacker's ordinary request between its queries.
    """

    at_s: float
    x: Array
    redelivered: bool = False
    client: str = ""
    ip: str = ""
    camouflage: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """What one honest client works with.

    ``mix``: how often it sends each class, ``(classes,)``, sums to 1. ``pace``: factor on how often it asks.
    """

    rng: np.random.Generator
    sensor: Device
    images: Examples
    mix: Array
    duration_s: float
    next_device: Callable[[], Device]
    pace: float = 1.0

    def pick(self) -> Array:
        """An example of a class drawn from the mix."""
        digit = int(self.rng.choice(len(self.mix), p=self.mix))
        return np.asarray(self.images.x[int(self.rng.choice(self.images.of_class(digit)))])

    def shot(self, at_s: float) -> Array:
        return self.sensor.capture(self.pick(), at_s)

    def poisson(self, rate_per_s: float) -> Iterator[float]:
        """Times with exponential gaps."""
        rate_per_s *= self.pace
        at_s = float(self.rng.exponential(1.0 / rate_per_s))
        while at_s < self.duration_s:
            yield at_s
            at_s += float(self.rng.exponential(1.0 / rate_per_s))

    def uneven(self, rate_per_s: float, sigma: float = 1.2) -> Iterator[float]:
        """Times with lognormal gaps of mean ``1 / rate_per_s``: flurries and pauses, as people make them."""
        rate_per_s *= self.pace
        mu = -np.log(rate_per_s) - sigma**2 / 2
        at_s = float(self.rng.uniform(0.0, 1.0 / rate_per_s))
        while at_s < self.duration_s:
            yield at_s
            at_s += max(float(self.rng.lognormal(mu, sigma)), 0.02)


def _ordinary(person: Person) -> Iterator[Request]:
    for at_s in person.uneven(person.rng.uniform(0.08, 0.24)):
        yield Request(at_s, person.shot(at_s))


def _occasional(person: Person) -> Iterator[Request]:
    for at_s in person.poisson(person.rng.uniform(0.01, 0.03)):
        yield Request(at_s, person.shot(at_s))


def _specialist(person: Person) -> Iterator[Request]:
    for at_s in person.poisson(person.rng.uniform(0.12, 0.22)):
        yield Request(at_s, person.shot(at_s))


def _batch(person: Person) -> Iterator[Request]:
    """A few jobs, each a burst of pictures as fast as the server answers."""
    for start_s in np.sort(person.rng.uniform(0.0, person.duration_s, size=int(person.rng.integers(2, 5)))).tolist():
        at_s = start_s
        for _ in range(int(person.rng.integers(20, 61))):
            at_s += float(person.rng.gamma(4.0, 0.04))
            if at_s < person.duration_s:
                yield Request(at_s, person.shot(at_s))


def _retrying(person: Person) -> Iterator[Request]:
    """One request in six times out and is sent again, the same bytes, after 1 s and maybe again after 2 s more."""
    for at_s in person.uneven(person.rng.uniform(0.1, 0.2), sigma=0.8):
        x = person.shot(at_s)
        yield Request(at_s, x)
        if person.rng.random() < 1 / 6:
            yield Request(at_s + 1.0 + float(person.rng.exponential(0.1)), x)
            if person.rng.random() < 1 / 3:
                yield Request(at_s + 3.2 + float(person.rng.exponential(0.1)), x)


def _health_check(person: Person) -> Iterator[Request]:
    """One stored picture every five seconds, for ever."""
    x = person.shot(0.0)
    period_s = 5.0 / person.pace
    for tick in range(int(person.duration_s // period_s)):
        yield Request(period_s * tick + float(person.rng.uniform(0.0, 0.05)), x)


def _camera(person: Person) -> Iterator[Request]:
    """A fixed camera over a slowly changing scene: one picture melts into the next over 15 to 40 frames."""
    at_s, period_s = float(person.rng.uniform(0.0, 2.0)), float(person.rng.uniform(1.5, 2.5)) / person.pace
    scene = person.pick()
    while at_s < person.duration_s:
        following = person.pick()
        frames = int(person.rng.integers(15, 41))
        for frame in range(frames):
            blend = 0.5 - 0.5 * np.cos(np.pi * frame / frames)
            x = person.sensor.capture(person.sensor.between(scene, following, blend), at_s, steady=True)
            yield Request(at_s, x)
            at_s += period_s + float(person.rng.normal(0.0, 0.02))
        scene = following


def _redelivered(person: Person) -> Iterator[Request]:
    """An ordinary client whose broker now and then delivers one record twice."""
    for at_s in person.uneven(person.rng.uniform(0.1, 0.2)):
        request = Request(at_s, person.shot(at_s))
        yield request
        if person.rng.random() < 0.06:
            yield Request(request.at_s, request.x, redelivered=True)


def _migrating(person: Person) -> Iterator[Request]:
    """An ordinary client that moves to a new device half way: another camera, and as a rule another address."""
    moved, half_s = replace(person, sensor=person.next_device()), person.duration_s / 2
    for at_s in person.uneven(person.rng.uniform(0.08, 0.24)):
        yield Request(at_s, (person if at_s < half_s else moved).shot(at_s))


#: A noisy old sensor differs from an ordinary client in its camera alone.
_HABITS: Final[dict[Habit, Callable[[Person], Iterator[Request]]]] = {
    "ordinary": _ordinary,
    "occasional": _occasional,
    "batch": _batch,
    "retrying": _retrying,
    "health-check": _health_check,
    "camera": _camera,
    "specialist": _specialist,
    "noisy-sensor": _ordinary,
    "redelivered": _redelivered,
    "migrating": _migrating,
}

#: Standard deviation of an old sensor's noise, of full scale; an ordinary one has 0.01 to 0.03.
OLD_SENSOR_NOISE_SD: Final = 0.07


def honest_requests(
    habit: Habit,
    data: DataSet,
    images: Examples,
    rng: np.random.Generator,
    duration_s: float,
    dirty_from_s: float,
    pace: float = 1.0,
) -> list[Request]:
    """All requests of one client in the order of their time, each before ``duration_s``."""
    noise_sd = OLD_SENSOR_NOISE_SD if habit == "noisy-sensor" else None
    k = data.space.classes
    mix = np.eye(k)[int(rng.integers(k))] if habit == "specialist" else rng.dirichlet(np.full(k, 2.0))

    def device() -> Device:
        return data.device(rng, noise_sd, dirty_from_s)

    person = Person(rng, device(), images, mix, duration_s, device, pace)
    requests = [request for request in _HABITS[habit](person) if request.at_s < duration_s]
    return sorted(requests, key=lambda request: request.at_s)
