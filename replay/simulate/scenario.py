"""What a simulation is told: who sends what, from where and when. Plain data; the presets are in ``presets``."""

from __future__ import annotations

from typing import Literal

import msgspec

from monitor.errors import UserError
from replay.simulate.datasets.examples import Pool


class ScenarioError(UserError, ValueError):
    """A scenario that cannot be played: an unknown name, or a client listed twice."""


Habit = Literal[
    "ordinary",
    "occasional",
    "batch",
    "retrying",
    "health-check",
    "camera",
    "specialist",
    "noisy-sensor",
    "redelivered",
    "migrating",
]


class HonestClient(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One honest client. Its other traits (camera, favourite digits, pace) are drawn from the scenario's seed.

    Attributes:
        new_ip: address from the middle of the scenario on, for one that moves to another device; empty: as before.
        twin_of: client whose payloads it sends too, each moments later: a partner that tests two accounts against each
            other. It has that client's habit and model.
    """

    client: str
    habit: Habit
    model: str
    ip: str
    new_ip: str = ""
    twin_of: str = ""


class Attacker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One attacking client.

    Attributes:
        attack: a name from ``replay.simulate.attacks.registry``.
        start_s: first query, seconds after the scenario begins.
        queries: the most queries the attack may spend; it may finish with fewer.
        rate_per_s: mean queries per second.
        targets: pictures it works on, one after the other (evasion).
        eps: bound of the L-infinity perturbation, for attacks that take one.
        ordinary_share: share of its requests that are ordinary pictures, sent in between as camouflage.
        accounts: spread over so many accounts, each query from one drawn at random; ``client`` then names the group,
            its members are ``client-01`` and so on, and addresses rotate.
    """

    client: str
    attack: str
    model: str
    ip: str
    start_s: float
    queries: int
    rate_per_s: float
    targets: int = 1
    eps: float = 0.3
    ordinary_share: float = 0.0
    accounts: int = 1

    @property
    def members(self) -> tuple[str, ...]:
        """The client ids that its queries come from."""
        if self.accounts == 1:
            return (self.client,)
        return tuple(f"{self.client}-{number:02d}" for number in range(1, self.accounts + 1))


class Shift(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From ``onset_s`` on, the cameras of all honest clients of ``model`` look through a dirty lens."""

    model: str
    onset_s: float


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole recording. ``start_ts``: epoch seconds of its first moment; ``pool``: the held-out pictures it uses.

    ``retry_share``: share of every honest client's requests that are sent again about a second later, the same bytes.
    ``pace``: honest clients ask so many times as often as their habits have it; jobs stay as they are.
    """

    name: str
    duration_s: float
    start_ts: float
    pool: Pool
    honest: tuple[HonestClient, ...]
    attackers: tuple[Attacker, ...] = ()
    shift: Shift | None = None
    retry_share: float = 0.0
    pace: float = 1.0
