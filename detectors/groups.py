"""Evidence across accounts: rows that lie closer together than clean rows of so many clients ever would."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

import msgspec

from detectors.band_entries import Link
from detectors.fingerprints import View

#: Shares of the traffic that the bets look for; each has the same weight.
BETS: Final = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
#: Fewer accounts are no group, and one of which fewer can be named is not spoken of.
LEAST_MEMBERS: Final = 3
LEAST_NAMED: Final = 2
#: A member has this share of its rows, of those looked at in slots with links, in the group.
LEAST_SHARE: Final = 0.05
#: A known group is spoken of again when it has grown by this share.
GROWN: Final = 0.1
#: Links of a slot and of all slots that are remembered.
SLOT_LINKS: Final = 50_000
ALL_LINKS: Final = 200_000
MOST_MEMBERS: Final = 2500
_MOST_NATS: Final = 600.0

_Node = tuple[str, str]  # client, event


@dataclass(frozen=True, slots=True)
class Group:
    """Attributes:
    name: of the group, the same in everything that is said of it.
    members: all that were ever named, first seen first. fresh: how many of them are new.
    rows: the linked rows behind it, oldest first: (ts, event, client). links: between them, oldest first.
    e_value, threshold: see ``Groups``. traffic: rows of the model since the oldest.
    """

    name: _Node
    members: tuple[str, ...]
    fresh: int
    rows: tuple[tuple[float, str, str], ...]
    links: tuple[Link, ...]
    e_value: float
    threshold: float
    traffic: int


class Known(msgspec.Struct, array_like=True):
    """A group that was found: its name, its members, and the last slot in which anything of it was seen."""

    name: tuple[str, str]
    members: tuple[str, ...]
    slot: int


class Groups:
    """One model's links of the last slots, and the groups in them.

    Rows linked directly or over others are a *cluster*. If no clean row is within the radius of a given row of another
    client more often than ``rate``, a clean row joins a cluster of k rows with probability at most k ``rate``; that
    holds over all ways to connect k rows (k^(k-2) trees: Cayley 1889), so bridges between clusters are no exception. So
    for m accounts beyond the first, n rows of traffic since the oldest and a share ``b`` of it

        M = (b / (k rate))^m (1 - b)^n,    b > k rate

    is a test supermartingale of the cluster's oldest row, E the mean over the shares, and a clean cluster ever reaches
    E >= c with probability at most 1 / c (Ville 1939). An account counts once, however many rows it sends. With R rows
    a client-day and the budget of false findings a client-day,

        c = members views R / budget:

    each row may begin a cluster in each view (a radius and its rate, of all links or of those whose answers differ),
    and one false cluster accuses all its members. The first view in which it crosses counts. E is that of the links in
    memory now, never the largest it has been.

    E speaks for the cluster, not for each account in it: one that takes part comes near others again and again, an
    honest client comes near a row of an attack once in a while, and anybody can send one row near one of its. So an
    account is a member only if the view's links in memory join two of its rows to others, or one to two other accounts;
    and if at least 1/20 of its rows that were looked at in slots with links are in the cluster. What is left out is
    evidence still. A cluster with a member of a known group belongs to it, and is spoken of again when the group has
    grown by a tenth.
    """

    def __init__(
        self, views: Sequence[View], rows_per_client_day: float, budget: float, slots: int, size_s: float
    ) -> None:
        """``slots`` are remembered, each of ``size_s`` seconds."""
        self._views = tuple(views)
        self._each = max(len(views) * rows_per_client_day / budget, 100.0)
        self._slots = slots
        self._size_s = size_s
        self._links: dict[int, list[Link]] = {}
        self._rows: dict[int, int] = {}
        self._known: list[Known] = []

    @property
    def known(self) -> list[Known]:
        return self._known

    def slots(self) -> dict[int, tuple[int, list[Link]]]:
        """What is remembered: rows of the model and links, by slot."""
        return {slot: (rows, self._links.get(slot, [])) for slot, rows in self._rows.items()}

    def restore(self, slots: Mapping[int, tuple[int, list[Link]]], known: Iterable[Known]) -> None:
        self._rows = {slot: rows for slot, (rows, _) in slots.items()}
        self._links = {slot: links for slot, (_, links) in slots.items() if links}
        self._known = list(known)

    def take(self, slot: int, rows: int, links: Iterable[Link]) -> list[Group]:
        """A slot is over: how many rows it had and who met whom, in any order; slots ascend. The groups found."""
        self._rows[slot] = rows
        if new := sorted(set(links), key=_when)[:SLOT_LINKS]:
            self._links[slot] = new
        self._forget(slot)
        if not new:
            return []
        found = []
        for view in self._views:
            clusters = self._clusters(view)
            linked = _more_than_once(clusters)
            for cluster in clusters:
                group = self._judge(cluster, linked, slot, view)
                if group is not None:
                    found.append(group)
        return found

    def _forget(self, slot: int) -> None:
        for old in [s for s in self._rows if s <= slot - self._slots]:
            del self._rows[old]
            self._links.pop(old, None)
        total = sum(map(len, self._links.values()))
        for old in sorted(self._rows):
            if total <= ALL_LINKS:
                break
            del self._rows[old]
            total -= len(self._links.pop(old, ()))
        self._known = [k for k in self._known if k.slot > slot - self._slots]

    def _clusters(self, view: View) -> list[list[Link]]:
        """Links by cluster, those of one cluster oldest first, clusters by their oldest row."""
        parent: dict[_Node, _Node] = {}

        def root(node: _Node) -> _Node:
            while parent.setdefault(node, node) != node:
                parent[node] = node = parent[parent[node]]
            return node

        links = [link for slot in sorted(self._links) for link in self._links[slot]]
        links = [x for x in links if x.distance < view.radius and (x.differs or not view.differs)]
        for link in links:
            one, other = root((link.client, link.event)), root((link.earlier_client, link.earlier_event))
            parent[max(one, other)] = min(one, other)
        clusters: dict[_Node, list[Link]] = {}
        for link in links:
            clusters.setdefault(root((link.client, link.event)), []).append(link)
        return sorted(clusters.values(), key=lambda cluster: _oldest(cluster)[:3])

    def _judge(self, cluster: list[Link], linked: AbstractSet[str], slot: int, view: View) -> Group | None:
        rows = _rows_of(cluster)
        accounts = self._accounts(rows)
        members = {account: n for account, n in accounts.items() if account in linked}
        known = next((k for k in self._known if not members.keys().isdisjoint(k.members)), None)
        before = known.members if known else ()
        named = set(before)
        new = [member for member in members if member not in named]
        if known:
            known.slot = max(known.slot, self._slot(rows[-1][0]))
        if len(new) < max(math.ceil(GROWN * len(before)), 1) or len(accounts) < LEAST_MEMBERS:
            return None
        if len(before) + len(new) < LEAST_NAMED:
            return None
        since = self._slot(rows[0][0])
        traffic = sum(n for s, n in self._rows.items() if s >= since)
        e = self._e_value(len(accounts) - 1, len(rows) * view.rate, traffic)
        c = float(f"{self._each * len(accounts):.6g}")
        if e < c:
            return None
        if known is None:
            known = Known((rows[0][2], rows[0][1]), (), slot)
            self._known.append(known)
        known.members = (*before, *new)[:MOST_MEMBERS]
        fresh = len(known.members) - len(before)
        plain = tuple((ts, event, client) for ts, event, client, _ in rows)
        return Group(known.name, known.members, fresh, plain, tuple(cluster), e, c, traffic) if fresh else None

    def _accounts(self, rows: list[tuple[float, str, str, int]]) -> dict[str, int]:
        """Rows in the cluster of each client that has enough of them there, first seen first."""
        mine: dict[str, int] = {}
        looked: dict[str, dict[int, int]] = {}
        for ts, _, client, kept in rows:
            mine[client] = mine.get(client, 0) + 1
            looked.setdefault(client, {})[self._slot(ts)] = kept
        return {c: n for c, n in mine.items() if n >= LEAST_SHARE * sum(looked[c].values())}

    def _e_value(self, joined: int, by_chance: float, traffic: int) -> float:
        logs = [
            joined * math.log(bet / by_chance) + traffic * math.log1p(-bet) if bet > by_chance else 0.0 for bet in BETS
        ]
        e = sum(math.exp(min(log, _MOST_NATS)) for log in logs) / len(BETS)
        return float(f"{e:.6g}")

    def _slot(self, ts: float) -> int:
        return math.floor(ts / self._size_s)


def _more_than_once(clusters: list[list[Link]]) -> set[str]:
    """Accounts of which two rows are linked, or one with two other accounts."""
    met: dict[str, set[_Node]] = {}
    for link in itertools.chain.from_iterable(clusters):
        one, other = link.client, link.earlier_client
        met.setdefault(one, set()).add((other, link.event))
        met.setdefault(other, set()).add((one, link.earlier_event))
    return {account for account, rows in met.items() if len(rows) > 1}


def _rows_of(cluster: list[Link]) -> list[tuple[float, str, str, int]]:
    """The linked rows, oldest first: (ts, event, client, kept)."""
    later = {(link.ts, link.event, link.client, link.kept) for link in cluster}
    return sorted(later | {_earlier(link) for link in cluster})


def _earlier(link: Link) -> tuple[float, str, str, int]:
    return link.earlier_ts, link.earlier_event, link.earlier_client, link.earlier_kept


def _oldest(cluster: list[Link]) -> tuple[float, str, str, int]:
    return min(map(_earlier, cluster))


def _when(link: Link) -> tuple[float, str, str, float, str, str, bool, float]:
    earlier = link.earlier_ts, link.earlier_event, link.earlier_client
    return link.ts, link.event, link.client, *earlier, link.differs, link.distance
