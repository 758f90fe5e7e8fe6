"""Iterative black-box attacks: queries close to the client's earlier ones that teach something new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from detectors.batch import BoolArray, EventBatch, FloatArray, IntArray, round_sig
from detectors.contract import DetectorInfo, Params
from detectors.digest import digest_key, digests, params_digest, seed_of
from detectors.exact import figure, row_blocks
from detectors.finding import Attack
from detectors.history import Entries, History
from detectors.kernels.neighbours import compare, fresh
from detectors.rows import Inputs, Measures, Rows
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
_KEY: Final = ("key", "<i8")
_Z: Final = ("z", "<f4", (DIMS,))
#: One remembered query: fingerprint, label, largest class probability (NaN if unknown), projected input. The kernel
#: ``compare`` knows this layout.
_ENTRY: Final = np.dtype([_KEY, ("label", "<i4"), ("top", "<f4"), _Z])


@dataclass(frozen=True, slots=True, eq=False)
class _Compared:
    """Distance of each row to its nearest neighbour, ``(n,)``: NaN for repeats, infinite without a neighbour. And all
    near pairs of a row and an earlier query, a row's together: the row, how many distinct queries earlier, whether the
    labels differ, the distance, and the value ``log2(r / d) * info``.
    """

    nearest: FloatArray
    row: IntArray
    back: IntArray
    differs: BoolArray
    distance: FloatArray
    value: FloatArray


class NearDuplicate:
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

    costly: ClassVar[bool] = False

    def __init__(self, params: Params) -> None:
        self.memory = History(_ENTRY, RING)
        self._scale = Scale(params)
        self._key = params["digest_key"].astype(np.uint64)
        self._signs = params["signs"].astype(np.float64)
        self._radius = float(params["radius"])
        self._asked = b"queries " + params_digest(params)

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

    def score(self, rows: Rows) -> FloatArray:
        compared = self._compare(rows)
        out = np.where(np.isfinite(compared.nearest), 0.0, np.nan)
        if len(compared.row):
            first = np.flatnonzero(np.diff(compared.row, prepend=-1))
            out[compared.row[first]] = round_sig(np.maximum.reduceat(compared.value, first))
        return out

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        mine = rows.take(rows.of(row))
        compared = self._compare(mine)
        pairs = np.flatnonzero(compared.row == len(mine) - 1)
        if not len(pairs):
            return {}
        oldest_first = pairs[np.argsort(-compared.back[pairs], kind="stable")]
        best = oldest_first[compared.value[oldest_first].argmax()]
        distinct = int(np.count_nonzero(~np.isnan(compared.nearest)))
        before = int(self.memory.counts(mine.slots[:1])[0]) + distinct - 1
        return {
            "distance": figure(compared.distance[best]),
            "radius": figure(self._radius),
            "label_differs": bool(compared.differs[best]),
            "queries_compared": min(before, RING),
        }

    def learn(self, rows: Rows) -> None:
        queries = self._queries(rows)
        new = np.empty(len(rows), dtype=np.bool_)
        fresh(
            rows.order, rows.begins, rows.slots, queries["key"], self.memory.pool["key"], self.memory.owned, RING, new
        )
        by_client = rows.order[new[rows.order]]
        self.memory.append(rows.slots[by_client], queries[by_client])

    def _queries(self, rows: Rows) -> Entries:
        """What is to be remembered of each row."""
        batch = rows.batch
        queries = np.empty(len(rows), _ENTRY)
        projected = rows.measured(self._asked, np.arange(len(rows)), self._projected)
        queries["z"], queries["key"] = projected["z"], projected["key"]
        queries["label"] = batch.labels & 0x7FFFFFFF
        queries["top"] = np.nan if batch.scores is None else batch.scores.max(axis=1, initial=0.0)
        return queries

    def _projected(self, x: Inputs) -> Measures:
        out = np.empty(len(x), np.dtype([_KEY, _Z]))
        for block in row_blocks(len(x), x.shape[1]):
            out["z"][block] = _project(self._scale(x[block]), self._signs)
        out["key"] = digests(x, self._key)
        return out

    def _compare(self, rows: Rows) -> _Compared:
        """All fresh rows against the 64 distinct queries before each."""
        queries, memory = self._queries(rows), self.memory
        nearest = np.empty(len(rows))
        pairs, figures = np.empty((len(rows) * RING, 3), dtype=np.int64), np.empty((len(rows) * RING, 2))
        n = compare(
            rows.order,
            rows.begins,
            rows.slots,
            *_views(memory.pool),
            *_views(queries),
            memory.owned,
            RING,
            self._radius,
            SLACK,
            nearest,
            pairs,
            figures,
        )
        row, back, differs = pairs[:n].T
        distance, change = figures[:n].T
        info = np.where(differs, 1.0, np.minimum(change, 1.0))
        closeness = -np.log2(np.clip(distance / self._radius, CLOSEST, 1.0))
        return _Compared(nearest, row, back, differs.astype(np.bool_), distance, closeness * info)


def _views(entries: Entries) -> tuple[npt.NDArray[np.float32], IntArray]:
    """Entries as float32 ``(m, 16)`` and as int64 ``(m, 8)``."""
    return entries.view(np.float32).reshape(-1, 16), entries.view(np.int64).reshape(-1, 8)


def _project(z: FloatArray, signs: FloatArray) -> FloatArray:
    """Sums with random signs, exact, scaled so that squared distances are mean squared differences per feature."""
    return np.asarray((z @ signs.T) / np.sqrt(signs.size))
