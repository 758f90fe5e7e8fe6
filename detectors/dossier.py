"""What is held against one client: evidence per detector, and the run of hits behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from detectors.alarm import Evidence, Hits
from detectors.batch import EventBatch, IntArray

#: Event ids kept per run of hits.
MAX_EVENTS: Final = 20


class Run(msgspec.Struct):
    """Hits of one detector on one client since its evidence last was nothing.

    Attributes:
        since: opinions on the client up to and with the first hit; since_ts: the hit's event time.
        count: hits at the lowest line.
        events: ids of the latest events among them, oldest first.
    """

    since: int
    since_ts: float
    count: int = 0
    events: list[str] = []

    def add(self, event: str) -> None:
        self.count += 1
        if not self.events or self.events[-1] != event:
            self.events = [*self.events[-MAX_EVENTS + 1 :], event]


class Dossier:
    """One client. ``log_e`` is int64 ``(d, l, g)``; lists have one entry per detector.

    Attributes:
        last_ts: newest event time.
        opinions: rows on which the detector had one.
        runs: the run of hits that goes on, if any.
        found: id of the event at which the detector last crossed, "" if never.
    """

    __slots__ = ("found", "last_ts", "log_e", "opinions", "runs")

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.last_ts = float("-inf")
        self.log_e = np.zeros(shape, dtype=np.int64)
        self.opinions = [0] * shape[0]
        self.runs: list[Run | None] = [None] * shape[0]
        self.found = [""] * shape[0]

    def run_rows(self, d: int) -> int:
        """Opinions since the first hit of the run that goes on, with it."""
        run = self.runs[d]
        return 1 if run is None else self.opinions[d] - run.since + 1

    def restart(self, d: int, event: str) -> None:
        """After a crossing at ``event``: the detector begins anew."""
        self.log_e[d] = 0
        self.runs[d] = None
        self.found[d] = event


def take_in(
    dossiers: Sequence[Dossier], batch: EventBatch, rows: IntArray, client: IntArray, hits: Hits, evidence: Evidence
) -> None:
    """Enter ``rows`` of a batch: evidence after each client's last one, opinions, and the runs of hits.

    Args:
        dossiers: of the clients that ``client`` indexes.
        client, hits, evidence: of the rows, in their order.
    """
    order = np.arange(len(rows))
    last = np.full(len(dossiers), -1)
    last[client] = order
    newest = np.full(len(dossiers), -np.inf)
    np.maximum.at(newest, client, batch.ts[rows])
    heard = hits[:, :, 0] >= 0
    opinions = np.zeros((len(dossiers), hits.shape[1]), dtype=np.int64)
    np.add.at(opinions, client, heard)
    idle_at = np.full(opinions.shape, -1)
    np.maximum.at(idle_at, client, np.where(evidence.idle, order[:, None], -1))
    seen = np.flatnonzero(last >= 0).tolist()
    for c in seen:
        dossier = dossiers[c]
        dossier.last_ts = max(dossier.last_ts, float(newest[c]))
        dossier.log_e = evidence.log_e[last[c]].copy()
        for d in np.flatnonzero(idle_at[c] >= 0).tolist():
            dossier.runs[d] = None
    for i, d in np.argwhere((hits[:, :, 0] == 1) & (order[:, None] > idle_at[client])).tolist():
        dossier = dossiers[int(client[i])]
        run = dossier.runs[d]
        if run is None:
            here = int(np.count_nonzero(heard[: i + 1, d] & (client[: i + 1] == client[i])))
            run = dossier.runs[d] = Run(dossier.opinions[d] + here, float(batch.ts[rows[i]]))
        run.add(batch.ids[int(rows[i])])
    for c in seen:
        dossiers[c].opinions = [a + b for a, b in zip(dossiers[c].opinions, opinions[c].tolist(), strict=True)]
