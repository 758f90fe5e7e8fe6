"""What an evaluation needs to know of a recording: when each client and each model was busy."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterable
from typing import Final

from monitor.event import Event
from replay.evaluation import Lane, Timeline

BINS: Final = 150


class Traffic:
    """Event times by client (id, or address for a client without one) and by model; redelivered events count once.

    Args:
        events: the recording.
        attackers: clients whose times are also kept by model, to know which model was under attack when.
    """

    def __init__(self, events: Iterable[Event], attackers: Collection[str]) -> None:
        self._clients: dict[str, array[float]] = {}
        self._models: dict[str, array[float]] = {}
        self._attacked: dict[tuple[str, str], tuple[float, float]] = {}
        seen: set[tuple[str, str]] = set()
        for event in events:
            if (event.model, event.id) in seen:
                continue
            seen.add((event.model, event.id))
            client = event.client_id or event.client_ip
            self._clients.setdefault(client, array("d")).append(event.ts)
            self._models.setdefault(event.model, array("d")).append(event.ts)
            if client in attackers:
                first, last = self._attacked.get((event.model, client), (event.ts, event.ts))
                self._attacked[event.model, client] = (min(first, event.ts), max(last, event.ts))
        self._clients = {client: array("d", sorted(times)) for client, times in self._clients.items()}

    @property
    def span(self) -> tuple[float, float]:
        """First and last event time; (0, 0) of an empty recording."""
        times = [t for series in self._clients.values() for t in (series[0], series[-1])]
        return (min(times), max(times)) if times else (0.0, 0.0)

    def first(self, client: str) -> float | None:
        times = self._clients.get(client)
        return times[0] if times else None

    def count(self, client: str, until: float | None = None) -> int:
        """Requests of the client, up to and including ``until``."""
        times = self._clients.get(client, array("d"))
        return len(times) if until is None else bisect_right(times, until)

    def client_days(self, clients: Collection[str]) -> float:
        """Days of recording times those of ``clients`` that appear in it."""
        start, end = self.span
        return (end - start) / 86_400.0 * sum(client in self._clients for client in clients)

    def under_attack(self, model: str, ts: float) -> bool:
        """Was a labelled attacker between its first and last query to the model at ``ts``?"""
        return any(m == model and first <= ts <= last for (m, _), (first, last) in self._attacked.items())

    def timeline(self, labels: dict[str, str]) -> Timeline:
        start, end = self.span
        clients = [_lane(name, labels.get(name, ""), times, start, end) for name, times in self._clients.items()]
        models = [_lane(name, "", times, start, end) for name, times in sorted(self._models.items())]
        return Timeline(start, end, tuple(clients), tuple(models))


def _lane(name: str, label: str, times: array[float], start: float, end: float) -> Lane:
    counts = [0] * BINS
    width = (end - start) / BINS or 1.0
    for ts in times:
        counts[min(int((ts - start) / width), BINS - 1)] += 1
    return Lane(name, label, tuple(counts), min(times))
