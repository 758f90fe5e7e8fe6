"""A tail rate that all clients share says something of the model's traffic, and nothing of a client.

When a lens gets dirty or a feature pipeline breaks, every client's inputs look odd at once. That is the window
detectors' business; to accuse the clients one by one would be wrong and, with automatic responses, an outage. So a
client is compared with the others: where credibly many of them hit, p is raised to what they do.

For each detector, of the last 32 distinct clients with an opinion take each one's latest: at each level h hits among
the m others than the client itself. If m >= 6 and BetaInv(5 %; h, m - h + 1) > max(p, 10 %) at some level, the traffic
has moved, and p becomes max(p, BetaInv(95 %; h + 1, m - h)) at every level (Clopper & Pearson 1934): what calibration
said about rarer hits holds no longer either. Raising p only weakens bets, so the alarm's promise stands. Clients that
have been found are not counted, so attackers hide one another only if about a quarter of a partition's clients attack
at once, before any of them is found.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container, Sequence
from functools import cache
from typing import Final

import msgspec
import numpy as np
from scipy import stats

from detectors.alarm import Hits
from detectors.batch import FloatArray

CLIENTS: Final = 32
FEWEST: Final = 6
LEAST_RATE: Final = 0.1
_CONFIDENCE: Final = 0.95
_MOST: Final = 0.99


Latest = OrderedDict[str, list[int]]


class Population:
    """Latest hits of the clients seen last, per detector of one model in one partition, in the order of its log."""

    def __init__(self, bounds: FloatArray) -> None:
        """``bounds``: p of each detector and level, ``(d, l)``."""
        self._usual = bounds
        self._latest: list[Latest] = [OrderedDict() for _ in bounds]
        self._hits = [[0] * bounds.shape[1] for _ in bounds]

    def copy(self) -> Population:
        other = Population(self._usual)
        other._latest = [latest.copy() for latest in self._latest]
        other._hits = [hits.copy() for hits in self._hits]
        return other

    def advance(self, hits: Hits, clients: Sequence[str], found: Container[str]) -> FloatArray | None:
        """Take in rows one by one; p of each row as it stood when the row came, ``(n, d, l)``, or None if all usual.

        Args:
            hits: ``(n, d, l)``, -1 for no opinion.
            clients: of each row.
            found: clients that no longer count.
        """
        raised: FloatArray | None = None
        for d in range(len(self._latest)):
            rows = np.flatnonzero(hits[:, d, 0] >= 0)
            for row, hit in zip(rows.tolist(), hits[rows, d].tolist(), strict=True):
                client = clients[row]
                # The lowest line is crossed most often, and one hit never is credibly many: nearly all rows end here.
                if self._hits[d][0] > 1 and (bounds := self._raised(d, client)) is not None:
                    raised = np.broadcast_to(self._usual, hits.shape).copy() if raised is None else raised
                    raised[row, d] = bounds
                self._put(d, client, None if client in found else hit)
        return raised

    def drop(self, client: str) -> None:
        """No longer count a client that was found."""
        for d in range(len(self._latest)):
            self._put(d, client, None)

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode([list(latest.items()) for latest in self._latest])

    def restore(self, state: bytes) -> None:
        """Take back a snapshot; one of other detectors or levels is left aside."""
        stored = msgspec.msgpack.decode(state, type=list[list[tuple[str, list[int]]]])
        width = self._usual.shape[1]
        if len(stored) == len(self._latest) and all(len(hit) == width for latest in stored for _, hit in latest):
            for d, latest in enumerate(stored):
                for client, hit in latest:
                    self._put(d, client, hit)

    def _put(self, d: int, client: str, hit: list[int] | None) -> None:
        latest = self._latest[d]
        before = latest.pop(client, None)
        if before is not None and before[0]:
            self._hits[d] = [total - one for total, one in zip(self._hits[d], before, strict=True)]
        if hit is None:
            return
        latest[client] = hit
        if hit[0]:
            self._hits[d] = [total + one for total, one in zip(self._hits[d], hit, strict=True)]
        if len(latest) > CLIENTS:
            _, oldest = latest.popitem(last=False)
            self._hits[d] = [total - one for total, one in zip(self._hits[d], oldest, strict=True)]

    def _raised(self, d: int, client: str) -> FloatArray | None:
        own = self._latest[d].get(client)
        others = len(self._latest[d]) - (own is not None)
        if others < FEWEST:
            return None
        h = np.array(self._hits[d]) - (0 if own is None else np.array(own))
        low, high = _limits()
        usual = self._usual[d]
        if not (low[others, h] > np.maximum(usual, LEAST_RATE)).any():
            return None
        return np.asarray(np.maximum(high[others, h], usual))


@cache
def _limits() -> tuple[FloatArray, FloatArray]:
    """Clopper-Pearson limits of a rate from h of m, each ``(CLIENTS + 1, CLIENTS + 1)``, by m and h."""
    m, h = np.mgrid[: CLIENTS + 1, : CLIENTS + 1]
    rest = np.maximum(m - h, 0)
    low = np.where(h > 0, stats.beta.ppf(1.0 - _CONFIDENCE, np.maximum(h, 1), rest + 1), 0.0)
    high = np.where(rest > 0, stats.beta.ppf(_CONFIDENCE, h + 1, np.maximum(rest, 1)), 1.0)
    return low, np.minimum(high, _MOST)
