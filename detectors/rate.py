"""Abuse: a client that suddenly asks far faster than it, or anybody, used to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from detectors.batch import BoolArray, EventBatch, FloatArray, IntArray, round_sig
from detectors.clients import Clients
from detectors.contract import DetectorInfo, Params
from detectors.digest import text_digests
from detectors.exact import figure
from detectors.finding import Attack
from detectors.history import Entries, History
from detectors.kernels.request_blocks import count_requests
from detectors.rows import Rows

#: Requests per block; only a block's last request has an opinion.
BLOCK: Final = 16
#: Blocks of the population's pace that a client's own habit is mixed with.
_PRIOR_BLOCKS: Final = 4.0
_FASTEST_HZ: Final = 10_000.0

#: Under which rows note what ``_walk`` gave.
_WALKED: Final = b"walked"
_STATE: Final = np.dtype([("start", "<f8"), ("requests", "<i8"), ("habit", "<f8"), ("blocks", "<i8"), ("last", "<i8")])


@dataclass(frozen=True, slots=True, eq=False)
class _Walked:
    """Blocks that ended, by client: the row, log2 pace, log2 habit before. And each client's state after its rows."""

    rows: IntArray
    pace: FloatArray
    habit: FloatArray
    states: Entries


class Rate:
    """Requests are counted in blocks of 16 that do not overlap, so that one burst is not counted sixteen times over:

        s = log2(r / max(r_pop, r_own))

    with r the block's requests per second of event time, r_pop the median over clients of their median block pace in
    clean traffic, and r_own the geometric mean of the client's own earlier blocks and four of r_pop. Only a block's
    last request has an opinion. Rows of one request count once. Cost harvesting (AML.T0034) is the least that a high
    rate may mean, and honest batch jobs look alike: severity never exceeds medium, so this alone does not block.
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "rate",
        "1",
        Attack.ABUSE,
        "AML.T0034",
        "requests far faster than the client's and the population's habit",
        lasting_cause=True,
    )

    #: Smallest difference in score that means anything (one bit: twice as fast).
    resolution: ClassVar[float] = 1.0

    costly: ClassVar[bool] = False

    def __init__(self, params: Params) -> None:
        self.memory = History(_STATE, 1)
        self.memory_key = b"rate"
        self._population = float(params["log2_hz"])

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        blind, clients = cls({"log2_hz": np.array(0.0)}), Clients()
        rows = clients.rows(clean)
        blind.memory.reserve(clients.slots)
        walked = blind._walk(rows)
        of = rows.slots[walked.rows]
        medians = [float(np.median(walked.pace[of == slot])) for slot in np.unique(of)]
        return {"log2_hz": np.array(np.median(medians) if medians else np.log2(_FASTEST_HZ))}

    def score(self, rows: Rows) -> FloatArray:
        out = np.full(len(rows), np.nan)
        walked = self._walked(rows)
        out[walked.rows] = round_sig(walked.pace - np.maximum(self._population, walked.habit))
        return out

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        walked = self._walked(rows)
        at = np.flatnonzero(walked.rows == row)
        if not len(at):
            return {}
        return {
            "requests_per_s": figure(2.0 ** walked.pace[at[0]]),
            "own_habit_per_s": figure(2.0 ** walked.habit[at[0]]),
            "population_per_s": figure(2.0**self._population),
        }

    def learn(self, rows: Rows, of: BoolArray | None = None) -> None:
        some = slice(None) if of is None else of
        self.memory.append(rows.clients[some], self._walked(rows).states[some])
        rows.forget_noted(_WALKED)

    def _walked(self, rows: Rows) -> _Walked:
        """``_walk``, once for all who ask before anything is learned."""
        return rows.noted(_WALKED, lambda: self._walk(rows))

    def _walk(self, rows: Rows) -> _Walked:
        clients = rows.clients
        states = np.zeros(len(clients), _STATE)
        counts, known = self.memory.gather(clients)
        states[counts > 0] = known
        start, requests, last = (np.ascontiguousarray(states[name]) for name in ("start", "requests", "last"))
        ended, elapsed = np.empty(len(rows), dtype=np.int64), np.empty(len(rows))
        names = rows.measured(b"requests", np.arange(len(rows)), lambda _: text_digests(rows.batch.ids))
        n = count_requests(rows.order, rows.begins, names, rows.batch.ts, start, requests, last, BLOCK, ended, elapsed)
        states["start"], states["requests"], states["last"] = start, requests, last
        pace = np.log2(BLOCK / np.maximum(elapsed[:n], BLOCK / _FASTEST_HZ))
        habit = np.empty(n)
        sums, blocks = states["habit"].tolist(), states["blocks"].tolist()
        of = np.searchsorted(clients, rows.slots[ended[:n]]).tolist()
        for i, (client, bits) in enumerate(zip(of, pace.tolist(), strict=True)):
            habit[i] = (sums[client] + _PRIOR_BLOCKS * self._population) / (blocks[client] + _PRIOR_BLOCKS)
            sums[client] += bits
            blocks[client] += 1
        states["habit"], states["blocks"] = sums, blocks
        return _Walked(ended[:n], pace, habit, states)
