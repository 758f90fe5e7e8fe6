"""Crafted rows: values that no clean client sends, such as half a ticked box."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np

from detectors.batch import BoolArray, EventBatch, FloatArray, IntArray
from detectors.contract import DetectorInfo, Params
from detectors.finding import Attack
from detectors.history import History
from detectors.kernels.neighbours import fresh
from detectors.rows import Inputs, Rows
from detectors.sampling import fair_rows

#: New values remembered per client; 8 bytes each.
RING: Final = 32
#: A feature with at most so many distinct clean values is a choice among them.
_CHOICES: Final = 64
#: Values of a feature with more are multiples of the first of these that fits all clean ones, if one does.
_STEPS: Final = (1.0, 0.1, 0.01)
#: How far from a multiple, in steps, float32 may bring a value of usual size.
_NEAR: Final = 1e-3
_FIT_ROWS: Final = 50_000
#: Names in a finding are for reading.
_SHOWN: Final = 8


class Support:
    """Attack libraries search a continuous space, and most services have inputs that are not: categories, counts,
    ticked boxes, amounts in cents. A value that clean traffic cannot have was not measured and not typed in: mutable
    and immutable features are the constraint that attacks on tables break first (Ballet et al. 2019, arXiv 1911.03274;
    Mathov et al. 2022, arXiv 2010.03180).

        s = number of features whose value is odd, and was not sent by the client before

    A value is odd if its feature had at most 64 distinct values in clean traffic and it is none of them; or if all
    clean values are multiples of 1, 0.1 or 0.01 and it is not. An honest client with a category that is new counts
    once for it, however often it sends it: a client's last 32 odd values are remembered. There is no opinion where no
    feature is of such a kind (photographs, sensor readings); a missing value is not odd.
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "support", "1", Attack.EVASION, "AML.T0043", "values that clean traffic never has"
    )
    #: Smallest difference in score that means anything: less than one value.
    resolution: ClassVar[float] = 0.5

    costly: ClassVar[bool] = False

    def __init__(self, params: Params) -> None:
        self.memory = History(np.int64, RING)
        self._choices = params["choices"].astype(np.int64)
        self._values = params["values"].astype(np.float32)
        self._stepped = params["stepped"].astype(np.int64)
        self._step = params["step"].astype(np.float64)

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        x = clean.x[fair_rows(clean, _FIT_ROWS)]
        choices, values, stepped, steps = [], [], [], []
        for j in range(x.shape[1]):
            column = x[:, j]
            known = np.unique(column[np.isfinite(column)])
            if 0 < len(known) <= min(_CHOICES, len(column) // 4):
                choices.append(j)
                values.append(np.pad(known, (0, _CHOICES - len(known)), mode="edge"))
            elif len(known) and (fitting := [s for s in _STEPS if not _off(known, s).any()]):
                stepped.append(j)
                steps.append(fitting[0])
        return {
            "choices": np.array(choices, dtype=np.int64),
            "values": np.array(values, dtype=np.float32).reshape(len(choices), _CHOICES),
            "stepped": np.array(stepped, dtype=np.int64),
            "step": np.array(steps),
        }

    def score(self, rows: Rows) -> FloatArray:
        if not len(self._choices) + len(self._stepped):
            return np.full(len(rows), np.nan)
        row, _, new = self._odd(rows)
        return np.bincount(row[new], minlength=len(rows)).astype(np.float64)

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        mine = rows.take(rows.of(row))
        at, key, new = self._odd(mine)
        features = np.unique(key[new & (at == len(mine) - 1)] >> 32)
        return {"features_with_odd_values": features[:_SHOWN].tolist(), "odd_values": len(features)}

    def learn(self, rows: Rows) -> None:
        row, key, new = self._odd(rows)
        of_client = np.argsort(rows.slots[row[new]], kind="stable")
        self.memory.append(rows.slots[row[new]][of_client], key[new][of_client])

    def _odd(self, rows: Rows) -> tuple[IntArray, IntArray, BoolArray]:
        """All odd values by row: the row, feature and value as one number, whether it is new to the client."""
        x = np.ascontiguousarray(rows.batch.x)
        row, feature = np.nonzero(self._is_odd(x))
        bits = x[row, feature].view(np.uint32).astype(np.int64)
        key = (feature.astype(np.int64) << 32) | bits
        new = np.zeros(len(row), dtype=np.bool_)
        if len(row):
            values = Rows.grouped(rows.slots[row])
            fresh(*values, rows.slots[row], key, self.memory.pool, self.memory.owned, RING, new)
        return row.astype(np.int64), key, new

    def _is_odd(self, x: Inputs) -> BoolArray:
        odd = np.zeros(x.shape, dtype=np.bool_)
        for j, known in zip(self._choices.tolist(), self._values, strict=True):
            at = np.minimum(np.searchsorted(known, x[:, j]), len(known) - 1)
            odd[:, j] = known[at] != x[:, j]
        if len(self._stepped):
            odd[:, self._stepped] = _off(x[:, self._stepped], self._step)
        return odd & ~np.isnan(x)


def _off(values: Inputs, step: FloatArray | float) -> BoolArray:
    """Which values are no multiples of the step, as far as float32 can tell."""
    with np.errstate(invalid="ignore", over="ignore"):
        times = values.astype(np.float64) / step
        off = np.abs(times - np.round(times))
        return np.asarray(~(off <= np.maximum(np.abs(times) * 2.0**-22, _NEAR)))  # infinity is no multiple either
