"""Evidence of one kind against many accounts that began together: one attack, however far apart its queries lie."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Final

import msgspec

from detectors.contract import DetectorInfo
from detectors.finding import Attack
from detectors.gang import Gang, KnownGang, Name
from detectors.head_count import Heads, count, joined
from detectors.suspicion import Suspicion, strongest

#: Lines in units of the alarm's c, and how many accounts must have passed each. See ``Joint`` for the sum they keep to.
LEVELS: Final = ((1.0, 4), (1 / 4, 8), (1 / 10, 20))
#: Accounts of one attack begin one after the other: none later than this after the one before ...
GAP_S: Final = 60.0
#: ... nor later than this after the first.
SPAN_S: Final = 300.0
#: Where honest accounts are falsely suspected so often that one follows another within the gap by chance more often
#: than this, the gap is shorter.
_BY_CHANCE: Final = 0.1
#: From this share of the accounts active meanwhile on it is no gang, but something that happened to everybody.
MOST_SHARE: Final = 0.5
#: A known gang is spoken of again when it has grown by this share.
GROWN: Final = 0.1
MOST_MEMBERS: Final = 2500
#: A slot with more suspicions speaks of nobody.
SLOT_SUSPICIONS: Final = 10_000
_DAY_S: Final = 86_400.0

_Key = tuple[str, str]  # client, detector
_Held = Mapping[str, Mapping[str, Suspicion]]  # by detector and client


class Joint:
    """One model's suspicions of the last slots, and the gangs in them.

    Accounts belong together if the same detector holds evidence of at least ``share c`` against each, and its first
    hits came one account close behind the other: within a minute of the one before, within five of the first. ``k`` of
    them, for one of the pairs

        (share, k) = (1, 4), (1/4, 8), (1/10, 20),

    are a gang. That is e-BH (Wang & Ramdas 2022) with three steps: the more accounts there are, the less it takes for
    each. By the alarm (``detectors.alarm``) a clean account passes ``share c`` at most ``budget / share`` times a day,
    all detectors together. A gang at a share below 1 uses up k passings, so there are at most

        budget (4 / 8 + 10 / 20) = budget

    false ones per client and day, whatever honest accounts have to do with one another. At share 1 all members have
    been found alone: nobody is accused who was not before. Nor can anybody be by what others send: only an account's
    own evidence counts, and with less than c / 10 it is never named.

    Two more bounds keep apart what only happens at the same time. If 1/2 or more of the accounts that were active
    since a gang began are suspected of something (members of known gangs left out), the inputs of all have changed, and
    nobody is named. And where so many accounts are active that, at the rate that the budget allows, one is falsely
    suspected within a minute of another with probability above 1/10, the minute is made shorter.

    An account stays in the gang that it was first named with. Others join the gang of the one that began nearest to
    them, if they have evidence of the detector that found it and began within five minutes of its first account.
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "joint", "1", Attack.EXTRACTION, "AML.T0024.002", "many accounts that begin the same kind of attack together"
    )

    def __init__(self, threshold: float, budget: float, slots: int, size_s: float) -> None:
        """``threshold``: the alarm's c; ``slots`` are remembered, each of ``size_s`` seconds."""
        self._c = threshold
        self._budget = budget
        self._memory = slots
        self._size_s = size_s
        self._slots: dict[int, tuple[Heads, list[Suspicion]]] = {}
        self._known: list[KnownGang] = []

    @property
    def known(self) -> list[KnownGang]:
        return self._known

    def slots(self) -> Mapping[int, tuple[Heads, list[Suspicion]]]:
        """What is remembered: who was active and who was suspected, by slot."""
        return self._slots

    def restore(self, slots: Mapping[int, tuple[Heads, list[Suspicion]]], known: Iterable[KnownGang]) -> None:
        self._slots, self._known = dict(slots), list(known)

    def take(self, slot: int, active: Heads, suspicions: Iterable[Suspicion]) -> list[Gang]:
        """A slot is over: who was active in it and who was suspected, in any order; slots ascend. The gangs found."""
        self._slots = {s: kept for s, kept in self._slots.items() if s > slot - self._memory}
        self._known = [gang for gang in self._known if gang.slot > slot - self._memory]
        of = {member: gang for gang in self._known for member in gang.members}
        before, new = strongest(s for _, kept in self._slots.values() for s in kept), strongest(suspicions)
        told = _continued(new, before) if len(new) <= SLOT_SUSPICIONS else []
        self._slots[slot] = active, told
        for s in told:
            if s.client in of:
                of[s.client].slot = slot
        if all(s.client in of for s in told):
            return []
        held: dict[str, dict[str, Suspicion]] = {}
        for (client, detector), s in strongest([*before.values(), *told]).items():
            held.setdefault(detector, {})[client] = s
        crowd = max(count(joined([heads for heads, _ in self._slots.values()])), 1)
        found: dict[Name, Gang] = {}
        for share, least in LEVELS:
            line = float(f"{share * self._c:.6g}")
            gap_s = min(GAP_S, _BY_CHANCE * _DAY_S * share / (crowd * self._budget))
            # What fewer accounts are suspected of tells better who belongs together.
            for detector in sorted(held, key=lambda name: (len(held[name]), name)):
                for chain in _chains(held[detector].values(), line, gap_s):
                    for gang in self._judge(chain, held, of, least, line):
                        earlier = found[gang.name].fresh if gang.name in found else 0
                        found[gang.name] = replace(gang, fresh=earlier + gang.fresh)
        return list(found.values())

    def _judge(
        self, chain: Sequence[Suspicion], held: _Held, of: dict[str, KnownGang], least: int, line: float
    ) -> list[Gang]:
        """Accounts that began one close behind the other, by gang. ``of``: each member's gang; brought up to date."""
        named, new = [s for s in chain if s.client in of], None
        if len(named) == len(chain) or len(chain) > MOST_MEMBERS or (len(chain) < least and not named):
            return []
        by_home: dict[int, tuple[KnownGang, list[Suspicion]]] = {}
        for s in chain:
            home = of.get(s.client) or _nearest(s, named, of, held) or new
            if home is None:
                home = new = KnownGang((s.client, s.event), chain[0].detector, (), s.since_ts, max(self._slots))
            by_home.setdefault(id(home), (home, []))[1].append(s)
        found = []
        for home, theirs in by_home.values():
            fresh = [s.client for s in theirs if s.client not in of]
            size = len(home.members) + len(fresh)
            if not least <= size <= MOST_MEMBERS or len(fresh) < max(math.ceil(GROWN * len(home.members)), 1):
                continue
            active, suspected = self._since(min(theirs[0].since_ts, home.since_ts), of, home)
            if suspected >= MOST_SHARE * active:
                continue
            if home is new:
                self._known.append(home)
            home.members = (*home.members, *fresh)
            of |= dict.fromkeys(fresh, home)
            found.append(Gang(home.name, home.detector, home.members, len(fresh), tuple(theirs), line, active))
        return found

    def _since(self, since_ts: float, of: Mapping[str, KnownGang], home: KnownGang) -> tuple[int, int]:
        """Accounts active since then, and how many of them were suspected of anything; members of other gangs count in
        neither."""
        first = min(self._slot(since_ts), max(self._slots))
        slots = [kept for slot, kept in self._slots.items() if slot >= first]
        everybody = {s.client for _, kept in slots for s in kept}
        suspected = {client for client in everybody if of.get(client, home) is home}
        return count(joined([heads for heads, _ in slots])) - len(everybody) + len(suspected), len(suspected)

    def _slot(self, ts: float) -> int:
        return math.floor(ts / self._size_s)


def _continued(
    new: Mapping[tuple[str, str], Suspicion], before: Mapping[tuple[str, str], Suspicion]
) -> list[Suspicion]:
    """Who was suspected before began then: where evidence begins anew after a finding, the attack does not."""
    return [
        msgspec.structs.replace(s, since_ts=min(s.since_ts, before[key].since_ts)) if key in before else s
        for key, s in sorted(new.items())
    ]


def _nearest(s: Suspicion, named: Iterable[Suspicion], of: Mapping[str, KnownGang], held: _Held) -> KnownGang | None:
    """The gang of the account that began nearest to this one's beginning, of those it may belong to."""
    near = [
        (abs(s.since_ts - other.since_ts), other.since_ts, gang.name, gang)
        for other, gang in ((other, of[other.client]) for other in named)
        if s.client in held.get(gang.detector, ()) and abs(s.since_ts - gang.since_ts) <= SPAN_S
    ]
    return min(near, key=lambda each: each[:3])[3] if near else None


def _chains(suspicions: Iterable[Suspicion], line: float, gap_s: float) -> list[list[Suspicion]]:
    """Those above the line, linked by when they began."""
    chains: list[list[Suspicion]] = []
    for s in sorted((s for s in suspicions if s.e_value >= line), key=lambda s: (s.since_ts, s.client)):
        last = chains[-1] if chains else [s]
        if chains and s.since_ts - last[-1].since_ts <= gap_s and s.since_ts - last[0].since_ts <= SPAN_S:
            last.append(s)
        else:
            chains.append([s])
    return chains
