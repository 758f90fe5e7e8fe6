"""What must never be acted on, and how much may be done at most. Pure; asked again right before every action."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from responders.decision import ActionType, Decision, Outcome, Why

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Actions that shut somebody out. They need a time to live, and their number is capped.
RESTRICTING: Final = frozenset({ActionType.QUARANTINE, ActionType.BLOCK_IP, ActionType.THROTTLE})
_SCOPES: Final = {
    ActionType.QUARANTINE: ("client", "ip"),
    ActionType.BLOCK_IP: ("ip",),
    ActionType.THROTTLE: ("client", "ip"),
    ActionType.ROLLBACK: ("model",),
}
#: So many clients may always be restricted, however few there are.
FEWEST: Final = 10
_ANONYMOUS: Final = ("client", "anonymous")
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")


def host_address(text: str) -> _Address:
    """The address of one host, an IPv4 address in IPv6 clothes (``::ffff:192.0.2.1``) as the IPv4 address it is.

    Raises:
        ValueError: no address, or one that is no single remote host: unspecified, loopback, link-local (also with a
            zone), multicast, reserved.
    """
    address: _Address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise ValueError("an address with a zone is link-local")
        address = address.ipv4_mapped or address
    for kind in ("unspecified", "loopback", "link_local", "multicast", "reserved"):
        if getattr(address, f"is_{kind}"):
            raise ValueError(f"{kind.replace('_', '-')} address")
    return address


class Allowlist:
    """Clients and networks that are never acted on. Raises ValueError for a network that is none."""

    def __init__(self, clients: Iterable[str] = (), networks: Iterable[str] = ()) -> None:
        self._clients = frozenset(clients)
        self._networks = tuple(_network(text) for text in networks)

    def covers(self, scope: str, value: str) -> bool:
        """Is this client id (scope ``client``) or address (scope ``ip``) on the list? False for other scopes."""
        if scope == "client":
            return value in self._clients
        if scope != "ip":
            return False
        try:
            address: _Address = ipaddress.ip_address(value)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address):
            address = address.ipv4_mapped or address
        return any(address in network for network in self._networks)


@dataclass(frozen=True, slots=True)
class Limits:
    """Blast radius: what a mistake can do at most.

    Attributes:
        max_active_blocks: how many addresses may be blocked, clients quarantined and subjects throttled at a time,
            counted for each of the three.
        max_client_share: the same as a share of the clients seen, but never less than ``FEWEST`` of them. When all
            inputs change at once (a broken camera, a new unit), every client looks odd: that is no attack by everybody.
        max_actions_per_hour: how many actions of all types, messages aside, may begin within 3600 s.
        max_ttl_s: a longer time to live is cut to this.
        max_clients_per_ip: an address seen with more clients than this (a NAT, a proxy) is not blocked or throttled.
    """

    max_active_blocks: int = 100
    max_client_share: float = 0.25
    max_actions_per_hour: int = 60
    max_ttl_s: float = 86400.0
    max_clients_per_ip: int = 2


class Guard:
    """May this decision be carried out now? ``clients_of_ip`` says how many clients an address was seen with,
    ``clients_seen`` how many there are at all."""

    def __init__(
        self,
        limits: Limits,
        allowlist: Allowlist,
        clients_of_ip: Callable[[str], int],
        clients_seen: Callable[[], int] | None = None,
    ) -> None:
        self._limits = limits
        self._clients_seen = clients_seen
        self._allowlist = allowlist
        self._clients_of_ip = clients_of_ip

    def ttl_s(self, decision: Decision) -> float | None:
        """How long it may last: capped, and None for what does not expire.

        A rollback never expires whatever its decision says: expiry would put the bad model back unasked.
        """
        if decision.type not in RESTRICTING or decision.ttl_s is None:
            return None
        return min(decision.ttl_s, self._limits.max_ttl_s)

    def refusal(self, decision: Decision, active: int, last_hour: int) -> Outcome | None:
        """Why not, or None if it may be carried out.

        Args:
            active: other actions of this type in force.
            last_hour: other actions begun within the last 3600 s.
        """
        if decision.type is ActionType.NOTIFY:
            return None
        return self.target_refusal(decision) or self._cap_refusal(decision, active, last_hour)

    def target_refusal(self, decision: Decision) -> Outcome | None:
        """Why this target may not be acted on at all, however little is going on; None if it may."""
        if decision.scope not in _SCOPES.get(decision.type, (decision.scope,)):
            return _no(Why.INVALID_TARGET, f"{decision.type.value} does not act on scope {decision.scope!r}")
        if (decision.scope, decision.value) == _ANONYMOUS:
            return _no(Why.INVALID_TARGET, "the anonymous client is everybody without an id or address")
        if decision.type in RESTRICTING and not _expires(decision.ttl_s):
            return _no(Why.INVALID_TARGET, "needs a time to live (ttl_s), a positive number of seconds")
        if self._allowlist.covers(decision.scope, decision.value):
            return _no(Why.ALLOWLISTED, f"this {decision.scope} is on the allowlist")
        return self._address_refusal(decision) if decision.scope == "ip" else None

    def _address_refusal(self, decision: Decision) -> Outcome | None:
        try:
            address = str(host_address(decision.value))
        except ValueError as error:
            return _no(Why.INVALID_TARGET, f"not the address of one remote host: {error}"[:200])
        # A quarantine by address diverts only callers without an id, so those with one there are not hit.
        if decision.type in (ActionType.BLOCK_IP, ActionType.THROTTLE):
            clients = self._clients_of_ip(address)
            if clients > self._limits.max_clients_per_ip:
                return _no(Why.SHARED_ADDRESS, f"{clients} clients were seen at this address")
        return None

    def _cap_refusal(self, decision: Decision, active: int, last_hour: int) -> Outcome | None:
        limits = self._limits
        if decision.type in RESTRICTING and active >= limits.max_active_blocks:
            return _no(Why.CAP_REACHED, f"max_active_blocks: {active} of type {decision.type.value} are in force")
        if decision.type in RESTRICTING and self._clients_seen is not None and active >= FEWEST:
            seen = self._clients_seen()
            if active >= limits.max_client_share * seen:
                return _no(Why.CAP_REACHED, f"max_client_share: {active} of {seen} clients are restricted already")
        if last_hour >= limits.max_actions_per_hour:
            return _no(Why.CAP_REACHED, f"max_actions_per_hour: {last_hour} in the last hour")
        return None


def _network(text: str) -> _Network:
    network: _Network = ipaddress.ip_network(text, strict=False)
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        mapped = network.network_address.ipv4_mapped
        return ipaddress.ip_network((str(mapped), network.prefixlen - 96))
    return network


def _expires(ttl_s: float | None) -> bool:
    return ttl_s is not None and math.isfinite(ttl_s) and ttl_s > 0


def _no(why: Why, detail: str) -> Outcome:
    return Outcome(ok=False, why=why, detail=detail)
