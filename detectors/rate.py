"""Abuse: a client that suddenly asks far faster than it, or anybody, used to."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar, Final

import numpy as np

from detectors.batch import EventBatch, FloatArray, IntArray, round_sig
from detectors.contract import DetectorInfo, Params
from detectors.exact import figure
from detectors.finding import Attack
from detectors.memory import ClientMemory

#: Requests per block; only a block's last request has an opinion.
BLOCK: Final = 16
#: Blocks of the population's pace that a client's own habit is mixed with.
_PRIOR_BLOCKS: Final = 4.0
_FASTEST_HZ: Final = 10_000.0

_STATE: Final = np.dtype([("start", "<f8"), ("requests", "<i8"), ("habit", "<f8"), ("blocks", "<i8"), ("last", "<i8")])
State = Any  # one record of _STATE, which numpy's types cannot name


class Rate(ClientMemory):
    """Requests are counted in blocks of 16 that do not overlap, so that one burst is not counted sixteen times over:

        s = log2(r / max(r_pop, r_own))

    with r the block's requests per second of event time, r_pop the median over clients of their median block pace in
    clean traffic, and r_own the geometric mean of the client's own earlier blocks and four of r_pop. Only a block's
    last request has an opinion. Rows of one request count once. Cost harvesting (AML.T0034) is the least that a high
    rate may mean, and honest batch jobs look alike: severity never exceeds medium, so this alone does not block.
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "rate", "1", Attack.ABUSE, "AML.T0034", "requests far faster than the client's and the population's habit"
    )

    #: Smallest difference in score that means anything (one bit: twice as fast).
    resolution: ClassVar[float] = 1.0

    def __init__(self, params: Params) -> None:
        super().__init__(_STATE, 1)
        self._population = float(params["log2_hz"])

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        blind = cls({"log2_hz": np.array(0.0)})
        medians = []
        for rows in clean.by_client().values():
            blocks = blind._walk(np.zeros(1, _STATE)[0], clean, rows)[0]
            if blocks:
                medians.append(float(np.median([pace for _, pace, _ in blocks])))
        return {"log2_hz": np.array(np.median(medians) if medians else np.log2(_FASTEST_HZ))}

    def score(self, batch: EventBatch) -> FloatArray:
        out = np.full(len(batch), np.nan)
        for client, rows in batch.by_client().items():
            for row, pace, habit in self._walk(self._state(client), batch, rows)[0]:
                out[row] = pace - max(self._population, habit)
        return round_sig(out)

    def explain(self, batch: EventBatch, row: int) -> dict[str, Any]:
        client = batch.clients[row]
        rows = np.flatnonzero(np.array(batch.clients[: row + 1]) == client)
        for at, pace, habit in self._walk(self._state(client), batch, rows)[0]:
            if at == row:
                return {
                    "requests_per_s": figure(2.0**pace),
                    "own_habit_per_s": figure(2.0**habit),
                    "population_per_s": figure(2.0**self._population),
                }
        return {}

    def learn(self, batch: EventBatch) -> None:
        for client, rows in batch.by_client().items():
            state = self._walk(self._state(client), batch, rows)[1]
            self.remember(client, state.reshape(1))

    def _state(self, client: str) -> State:
        entries = self.history(client)
        return entries[0] if len(entries) else np.zeros(1, _STATE)[0]

    def _walk(self, state: State, batch: EventBatch, rows: IntArray) -> tuple[list[tuple[int, float, float]], State]:
        """Blocks that end in ``rows``, as (row, log2 pace, log2 habit before it), and the state after the last row."""
        start, requests, habit, blocks, last = state.item()
        begun = last != 0
        ended = []
        previous: str | None = None
        for row in rows.tolist():
            name = batch.ids[row]
            if name == previous or (previous is None and _digest(name) == last):
                previous = name
                continue
            previous = name
            if not begun:
                start, begun = float(batch.ts[row]), True
                continue
            requests += 1
            if requests == BLOCK:
                elapsed = max(float(batch.ts[row]) - start, BLOCK / _FASTEST_HZ)
                pace = float(np.log2(BLOCK / elapsed))
                ended.append((row, pace, (habit + _PRIOR_BLOCKS * self._population) / (blocks + _PRIOR_BLOCKS)))
                habit, blocks, requests, start = habit + pace, blocks + 1, 0, float(batch.ts[row])
        after = np.zeros(1, _STATE)
        after[0] = (start, requests, habit, blocks, last if previous is None else _digest(previous))
        return ended, after[0]


def _digest(name: str) -> int:
    raw = name.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "little", signed=True)
