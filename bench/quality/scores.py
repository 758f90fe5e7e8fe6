"""What a method said of a recording, set against the truth."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from math import ceil

from bench.quality.methods import Accusation, Said
from bench.quality.truth import AttackerTruth, Truth


@dataclass(frozen=True, slots=True)
class Caught:
    """One attacker. One with several accounts is found when they are named as a group, or half of them one by one.

    Attributes:
        queries: its own queries, camouflage left out, up to the finding; None if it was not found. ``budget``: all.
        as_group: one finding names two or more of its accounts as a group, and more of them than of others.
        named: share of its accounts that group findings name. strangers: honest clients among those named with them.
        by: the detector that found it first.
    """

    attacker: AttackerTruth
    queries: int | None
    budget: int
    as_group: bool
    named: float
    strangers: int
    by: str

    @property
    def found(self) -> bool:
        return self.queries is not None


@dataclass(frozen=True, slots=True)
class Scored:
    """One method on one recording. ``flagged``: habit and first accuser by honest client accused."""

    data_set: str
    seed: int
    method: str
    caught: tuple[Caught, ...]
    flagged: dict[str, tuple[str, str]]
    honest: int
    client_days: float


def score(data_set: str, seed: int, said: Said, truth: Truth) -> Scored:
    """Accusations of one recording against its truth."""
    accusations = sorted(said.accusations, key=lambda accusation: accusation.ts)
    flagged: dict[str, tuple[str, str]] = {}
    for accusation in accusations:
        for client in accusation.clients:
            if client in truth.honest:
                flagged.setdefault(client, (truth.honest[client], accusation.by))
    return Scored(
        data_set=data_set,
        seed=seed,
        method=said.method,
        caught=tuple(_caught(attacker, accusations, truth) for attacker in truth.attackers),
        flagged=flagged,
        honest=len(truth.honest),
        client_days=len(truth.honest) * truth.days,
    )


def queries_until(attacker: AttackerTruth, ts: float) -> int:
    """Its own queries up to a finding, at least 1."""
    return max(bisect_right(attacker.query_ts, ts), 1)


def _caught(attacker: AttackerTruth, accusations: list[Accusation], truth: Truth) -> Caught:
    mine = frozenset(attacker.accounts)
    needed = ceil(len(mine) / 2) if attacker.group else 1
    accused: set[str] = set()
    named: set[str] = set()
    strangers: set[str] = set()
    found: Accusation | None = None
    for accusation in accusations:
        members = mine.intersection(accusation.clients)
        if not members:
            continue
        accused |= members
        # A group of many attackers' accounts is no finding of this one.
        one_of_them = accusation.as_group and len(members) > 1 and 2 * len(members) > len(accusation.clients)
        if one_of_them:
            named |= members
            strangers.update(client for client in accusation.clients if client in truth.honest)
        if found is None and (one_of_them or len(accused) >= needed):
            found = accusation
    return Caught(
        attacker=attacker,
        queries=None if found is None else queries_until(attacker, found.ts),
        budget=len(attacker.query_ts),
        as_group=bool(named),
        named=len(named) / len(mine),
        strangers=len(strangers),
        by="" if found is None else found.by,
    )
