"""Values that no clean input has, in features that have few values."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from detectors.batch import BoolArray, EventBatch, FloatArray, IntArray, round_sig
from detectors.contract import DetectorInfo, Params
from detectors.digest import digest_key, params_digest, seed_of
from detectors.exact import figure
from detectors.finding import Attack
from detectors.history import History
from detectors.kernels.value_lists import first_seen, unseen
from detectors.pictures import is_picture
from detectors.rows import Inputs, Measures, Rows
from detectors.sampling import fair_rows

#: Unseen values remembered per client; 8 bytes each.
RING: Final = 32
#: Unseen values of a row that count: its first ones.
_MOST: Final = 4
_FIT_ROWS: Final = 20_000
#: A feature is a list if at most this share of clean values are known from one client alone.
_UNSEEN_SHARE: Final = 0.02
#: And if it has at most this many values, and so many clean rows to each: a measurement rounded to four decimals has
#: in-between values all the same.
_MOST_VALUES: Final = 4096
_ROWS_A_VALUE: Final = 20
_NAN: Final = np.float32(np.nan)
_MEASURED: Final = np.dtype([("key", "<i8", (_MOST,)), ("bits", "<f8", (_MOST,))])


class UnseenValues:
    """Attacks do arithmetic on features that have no in-between values: a plan that costs 25 or 50 %, a box that is
    ticked or not. Few black-box attacks know such constraints (Simonetto et al. 2022, arXiv 2112.01156). A value of
    such a feature that no clean input has counts by how rare unseen values are:

        s = sum over features j with a value unseen before of  -log2 u_j

    u_j is the share of clean rows whose value of j only one client ever sent, as Good and Turing (1953) estimate
    the probability of something unseen, with clients in place of words; a feature is taken for a list if u_j is
    at most 2 %, and if there are 20 clean rows to a value. Of a row, the first 4 unseen values count.

    A value that the client sent lately counts no more (its last 32 unseen values are remembered): a new plan that the
    clean traffic did not know makes one hit a client, not one a row. Pictures have no lists, and no opinion.
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "unseen_values", "1", Attack.EVASION, "AML.T0043.001", "values that clean inputs never take, again and again"
    )

    #: Smallest difference in score that means anything (usual scores are 0; one unseen value is 5.6 or more).
    resolution: ClassVar[float] = 4.0

    costly: ClassVar[bool] = False

    def __init__(self, params: Params) -> None:
        self.memory = History(np.int64, RING)
        self._feature, self._begins = params["feature"].astype(np.int64), params["begins"].astype(np.int64)
        self._values, self._bits = params["values"].astype(np.int64), params["bits"].astype(np.float64)
        self._digest_key = params["digest_key"].astype(np.uint64)
        self.memory_key = b"unseen " + params_digest(params)

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        rows = fair_rows(clean, _FIT_ROWS)
        client = np.unique(np.array(clean.clients)[rows], return_inverse=True)[1]
        words = _words(clean.x[rows]).view(np.int32).astype(np.int64)
        lists: list[tuple[int, IntArray, float]] = []
        for j in range(0 if is_picture(clean.shape) else words.shape[1]):
            values, index = np.unique(words[:, j], return_inverse=True)
            pairs = np.unique(np.stack([index, client]), axis=1)[0]
            alone = np.bincount(pairs, minlength=len(values)) == 1
            share = (float(np.count_nonzero(alone[index])) + 1.0) / (len(rows) + 1.0)
            if len(values) <= min(_MOST_VALUES, len(rows) // _ROWS_A_VALUE) and share <= _UNSEEN_SHARE:
                lists.append((j, values, share))
        return {
            "feature": np.array([j for j, _, _ in lists], dtype=np.int64),
            "begins": np.cumsum([0, *(len(values) for _, values, _ in lists)]).astype(np.int64),
            "values": np.concatenate([np.empty(0, np.int64), *(values for _, values, _ in lists)]).astype(np.int64),
            "bits": round_sig(-np.log2(np.array([share for _, _, share in lists], dtype=np.float64))),
            "digest_key": digest_key(seed_of(clean), clean.x.shape[1]),
        }

    def score(self, rows: Rows) -> FloatArray:
        if not len(self._feature):
            return np.full(len(rows), np.nan)
        return round_sig(self._first_seen(rows)[0])

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        mine = rows.up_to(row)
        new = self._first_seen(mine)[1][-1]
        found = self._measured(mine)["key"][-1][new]
        features = [int(j) for j in self._feature if self._key(mine.batch.x[-1:, j], int(j)) in found.tolist()]
        return {
            "features": features,
            "values": [figure(float(mine.batch.x[-1, j])) for j in features if not np.isnan(mine.batch.x[-1, j])],
            "features_with_lists": len(self._feature),
        }

    def learn(self, rows: Rows, of: BoolArray | None = None) -> None:
        if not len(self._feature):
            return
        by_client = rows.by_client(of)
        new = self._first_seen(rows)[1][by_client]
        keys = self._measured(rows)["key"][by_client]
        self.memory.append(np.repeat(rows.slots[by_client], new.sum(axis=1)), keys[new])

    def _first_seen(self, rows: Rows) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Scores ``(n,)``, and which unseen values of each row are new to its client, ``(n, 4)``."""
        measured = self._measured(rows)
        scores, new = np.zeros(len(rows)), np.zeros((len(rows), _MOST), dtype=np.bool_)
        columns = (measured["key"], measured["bits"], self.memory.pool, self.memory.owned)
        first_seen(rows.order, rows.begins, rows.slots, *columns, RING, scores, new)
        return scores, new

    def _measured(self, rows: Rows) -> Measures:
        return rows.measured(self.memory_key, np.arange(len(rows)), self._unseen)

    def _unseen(self, x: Inputs) -> Measures:
        out = np.zeros(len(x), _MEASURED)
        lists = (self._feature, self._begins, self._values, self._bits)
        unseen(_words(x), *lists, self._digest_key, out["key"], out["bits"])
        return out

    def _key(self, value: Inputs, j: int) -> int:
        words = _words(value).astype(np.uint64)
        return int(((words * self._digest_key[j]) | np.uint64(1)).view(np.int64)[0])


def _words(x: Inputs) -> npt.NDArray[np.uint32]:
    """The bits of values; all missing ones are alike, and -0.0 is 0.0."""
    return np.where(np.isnan(x), _NAN, x + np.float32(0.0)).view(np.uint32)
