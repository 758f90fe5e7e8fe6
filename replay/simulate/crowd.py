"""Honest clients by habit, with names and addresses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count

from replay.simulate.scenario import Habit, HonestClient


def addresses(networks: tuple[str, ...], first: int) -> Iterator[str]:
    """Addresses of the documentation ranges (RFC 5737, RFC 3849), the networks in turn; ``{}`` takes the host."""
    for host in count(first):
        for network in networks:
            yield network.format(host)


def crowd(model: str, prefix: str, first: int, habits: Mapping[Habit, int], ips: Iterator[str]) -> list[HonestClient]:
    """So many clients of each habit, numbered from ``first`` on."""
    clients: list[HonestClient] = []
    for habit, number in habits.items():
        for _ in range(number):
            clients.append(HonestClient(f"{prefix}-{first + len(clients):02d}", habit, model, next(ips)))
    return clients
