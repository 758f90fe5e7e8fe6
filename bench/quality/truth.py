"""What really happened in a recording: every attacker with its accounts and queries, every honest client's habit."""

from __future__ import annotations

from pathlib import Path

import msgspec

from replay.simulate import Scenario, Simulated
from replay.simulate.attacks.registry import attack_scenario
from replay.simulate.query_patterns import variant_of


class AttackerTruth(msgspec.Struct, frozen=True):
    """One attacker. ``accounts``: client ids that it sends from; ``query_ts``: times of its queries without camouflage.

    ``group``: its name if it is spread over several accounts, else empty.
    """

    name: str
    family: str
    attack: str
    variant: str
    group: str
    accounts: tuple[str, ...]
    query_ts: tuple[float, ...]


class Truth(msgspec.Struct, frozen=True):
    """``honest``: habit by client id; ``days``: length of the recording."""

    attackers: tuple[AttackerTruth, ...]
    honest: dict[str, str]
    days: float

    def save(self, path: Path) -> None:
        path.write_bytes(msgspec.json.encode(self))

    @staticmethod
    def load(path: Path) -> Truth:
        return msgspec.json.decode(path.read_bytes(), type=Truth)


def truth_of(scenario: Scenario, simulated: Simulated) -> Truth:
    """Clients that sent nothing are left out: nobody could say anything about them."""
    times: dict[str, list[float]] = {}
    seen: set[str] = set()
    for event in simulated.events:
        seen.add(event.client_id)
        if event.id not in simulated.camouflage:
            times.setdefault(event.client_id, []).append(event.ts)
    attackers = [
        AttackerTruth(
            name=one.client,
            family=attack_scenario(one.attack).family.value,
            attack=one.attack,
            variant=variant_of(one.client)[1],
            group=one.client if one.accounts > 1 else "",
            accounts=tuple(account for account in one.members if account in seen),
            query_ts=tuple(sorted(ts for account in one.members for ts in times.get(account, ()))),
        )
        for one in scenario.attackers
    ]
    honest = {
        one.client: "A/B partner" if one.client.startswith("partner-") else one.habit
        for one in scenario.honest
        if one.client in seen
    }
    return Truth(tuple(attackers), honest, scenario.duration_s / 86_400.0)
