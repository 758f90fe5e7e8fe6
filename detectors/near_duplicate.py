"""Iterative black-box attacks: queries close to the client's earlier ones that teach something new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from detectors.batch import EventBatch, FloatArray, IntArray, round_sig
from detectors.contract import DetectorInfo, Params
from detectors.digest import digest_key, digests, seed_of
from detectors.exact import figure, row_blocks
from detectors.finding import Attack
from detectors.memory import ClientMemory
from detectors.sampling import fair_rows
from detectors.scale import Scale

#: Distinct queries remembered per client; 64 bytes each.
RING: Final = 64
DIMS: Final = 12
#: Neighbours this much farther than the nearest one still count as near: a bisection has one on either side.
SLACK: Final = 1.1
#: Closest distance told apart, in shares of the radius: 2**-12, so s is at most 12.
CLOSEST: Final = 2.0**-12
_RADIUS_QUANTILE: Final = 0.005
_RADIUS_ROWS: Final = 1500
#: Queries of one client compared at a time; bounds memory.
_BLOCK: Final = 128

#: One remembered query: fingerprint, label, largest class probability (NaN if unknown), projected input.
_ENTRY: Final = np.dtype([("key", "<i8"), ("label", "<i4"), ("top", "<f4"), ("z", "<f4", (DIMS,))])
Entries = npt.NDArray[Any]  # records of _ENTRY, which numpy's types cannot name


@dataclass(frozen=True, slots=True, eq=False)
class _Compared:
    """Fresh rows of one client, each with its score and, where it has one, the neighbour behind it."""

    rows: IntArray
    scores: FloatArray
    neighbour: IntArray
    distance: FloatArray
    queries: Entries


class NearDuplicate(ClientMemory):
    """An attacker who searches for an adversarial example asks again and again about almost the same input and learns
    from how the answer changes (Chen, Carlini, Wagner 2019, arXiv 1907.05587; Blacklight, Li et al. 2022, arXiv
    2006.14042). Closeness alone would accuse the retry, the health check and the camera over a still scene, so a row
    counts as much as it is close and its answer differs:

        s = max over near j of  log2(r / d_j) * info_j,    near: d_j < r and d_j <= 1.1 min d

    with d_j the root mean square difference per feature, in standard units, to the j-th of the client's last 64
    distinct queries, estimated from 12 sums with random signs (Achlioptas 2003); r the 0.5 % quantile of that distance
    between queries of different clients in clean traffic; info_j = 1 if the served labels differ, else the change of
    the largest class probability.

    Byte-identical repeats have no opinion and are not remembered; nor has a client's first query. The signs come from a
    seed that only the clean traffic gives: whoever lacks it cannot hide a difference from them.
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "near_duplicate", "1", Attack.EVASION, "AML.T0043.001", "queries that circle round one input and learn from it"
    )

    #: Smallest difference in score that means anything (one bit: half as far).
    resolution: ClassVar[float] = 1.0

    def __init__(self, params: Params) -> None:
        super().__init__(_ENTRY, RING)
        self._scale = Scale(params)
        self._key = params["digest_key"].astype(np.uint64)
        self._signs = params["signs"].astype(np.float64)
        self._radius = float(params["radius"])

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        params = Scale.fit(clean)
        seed, d = seed_of(clean), clean.x.shape[1]
        signs = np.random.default_rng(seed).choice(np.array([-1, 1], dtype=np.int8), size=(DIMS, d))
        rows = fair_rows(clean, _RADIUS_ROWS)
        z = _project(Scale(params)(clean.x[rows]), signs.astype(np.float64))
        owner = np.unique(np.array(clean.clients)[rows], return_inverse=True)[1]
        one, other = np.triu_indices(len(rows), 1)
        apart = owner[one] != owner[other]
        distances = np.sqrt(np.sum((z[one[apart]] - z[other[apart]]) ** 2, axis=1))
        distances = distances[distances > 0]
        radius = float(np.quantile(distances, _RADIUS_QUANTILE)) if len(distances) else 1.0
        return params | {"signs": signs, "radius": np.array(radius), "digest_key": digest_key(seed, d)}

    def score(self, batch: EventBatch) -> FloatArray:
        out = np.full(len(batch), np.nan)
        queries = self._queries(batch)
        for client, rows in batch.by_client().items():
            compared = self._compare(client, rows, queries)
            out[compared.rows] = compared.scores
        return round_sig(out)

    def explain(self, batch: EventBatch, row: int) -> dict[str, Any]:
        client = batch.clients[row]
        rows = np.flatnonzero(np.array(batch.clients[: row + 1]) == client)
        compared = self._compare(client, rows, self._queries(batch))
        if not len(compared.rows) or compared.rows[-1] != row or compared.neighbour[-1] < 0:
            return {}
        mine, other = compared.queries[-1], compared.queries[compared.neighbour[-1]]
        return {
            "distance": figure(compared.distance[-1]),
            "radius": figure(self._radius),
            "label_differs": bool(mine["label"] != other["label"]),
            "queries_compared": min(len(compared.queries) - 1, RING),
        }

    def learn(self, batch: EventBatch) -> None:
        queries = self._queries(batch)
        for client, rows in batch.by_client().items():
            self.remember(client, queries[_unseen(rows, queries["key"], self.history(client)["key"])])

    def _queries(self, batch: EventBatch) -> Entries:
        queries = np.empty(len(batch), _ENTRY)
        for block in row_blocks(len(batch), batch.x.shape[1]):
            queries["z"][block] = _project(self._scale(batch.x[block]), self._signs)
        queries["key"] = digests(batch.x, self._key)
        queries["label"] = batch.labels & 0x7FFFFFFF
        queries["top"] = np.nan if batch.scores is None else batch.scores.max(axis=1, initial=0.0)
        return queries

    def _compare(self, client: str, rows: IntArray, queries: Entries) -> _Compared:
        """All fresh ones of ``rows`` against the 64 distinct queries before each."""
        history = self.history(client)
        rows = _unseen(rows, queries["key"], history["key"])
        both = np.concatenate([history, queries[rows]])
        n, h = len(rows), len(history)
        found = _Compared(rows, np.zeros(n), np.full(n, -1, dtype=np.int64), np.full(n, np.inf), both)
        for start in range(h, h + n, _BLOCK):
            self._compare_block(found, start, min(start + _BLOCK, h + n), h)
        return found

    def _compare_block(self, found: _Compared, start: int, end: int, h: int) -> None:
        """Fill in ``found`` for queries ``start`` to ``end``; the first ``h`` queries are history."""
        first = max(start - RING, 0)
        others = found.queries[first:end]
        z = others["z"].astype(np.float64)
        distance = np.sqrt(np.sum((z[start - first :, None, :] - z[None, :, :]) ** 2, axis=2))
        age = np.arange(start, end)[:, None] - np.arange(first, end)[None, :]
        distance[(age <= 0) | (age > RING)] = np.inf
        nearest = distance.min(axis=1)
        found.scores[start - h : end - h][np.isinf(nearest)] = np.nan
        close = np.flatnonzero(nearest < self._radius)
        if len(close):
            value = self._values(distance[close], nearest[close], others[start - first :][close], others)
            best = value.argmax(axis=1)
            at = close + start - h
            found.scores[at] = value.max(axis=1)
            found.neighbour[at] = best + first
            found.distance[at] = distance[close, best]

    def _values(self, distance: FloatArray, nearest: FloatArray, mine: Entries, others: Entries) -> FloatArray:
        """``log2(r / d) * info`` for each near pair, -1 for the others."""
        near = (distance < self._radius) & (distance <= SLACK * nearest[:, None])
        differs = mine["label"][:, None] != others["label"][None, :]
        change = np.abs(mine["top"][:, None].astype(np.float64) - others["top"][None, :])
        info = np.where(differs, 1.0, np.clip(np.nan_to_num(change), 0.0, 1.0))
        closeness = -np.log2(np.clip(distance / self._radius, CLOSEST, 1.0))
        return np.asarray(np.where(near, closeness * info, -1.0))


def _unseen(rows: IntArray, keys: IntArray, known: IntArray) -> IntArray:
    """Those of ``rows`` whose key is none of the 64 distinct ones before it; ``known``: in memory, oldest first."""
    recent = dict.fromkeys(known.tolist())
    fresh = []
    for row, key in zip(rows.tolist(), keys[rows].tolist(), strict=True):
        if key not in recent:
            recent[key] = None
            fresh.append(row)
            if len(recent) > RING:
                del recent[next(iter(recent))]
    return np.asarray(fresh, dtype=np.int64)


def _project(z: FloatArray, signs: FloatArray) -> FloatArray:
    """Sums with random signs, exact, scaled so that squared distances are mean squared differences per feature."""
    return np.asarray((z @ signs.T) / np.sqrt(signs.size))
