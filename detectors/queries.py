"""The latest distinct queries of each client: one memory for all detectors that compare a query with earlier ones."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from detectors.batch import BoolArray, EventBatch, FloatArray, round_sig
from detectors.contract import Params
from detectors.detail import BLOCKS, block_of_feature, detail_weights
from detectors.digest import digest_key, digests, params_digest, seed_of
from detectors.exact import row_blocks
from detectors.fit_once import fit_once
from detectors.history import Entries, History
from detectors.kernels.block_digests import block_digests
from detectors.kernels.neighbours import fresh
from detectors.outline import amplitudes, outline_weights
from detectors.parts import parts_of
from detectors.pictures import is_picture
from detectors.rows import Inputs, Measures, Rows
from detectors.scale import Scale
from detectors.spacing import between_clients, sample, spacing_floor

#: Distinct queries remembered per client; 88 bytes each, 112 if they are pictures.
RING: Final = 44
#: Where a pair of them matters, one is among so many of the latest: a search goes on from its last step.
LATEST: Final = 12
DIMS: Final = 8
DETAIL_DIMS: Final = 12
#: Steps of the detail's coordinates in a ``detail_floor``, and of the outline's in a standard deviation.
DETAIL_STEPS: Final = 64.0
OUTLINE_STEPS: Final = 256.0
_PARAMS: Final = (
    "median",
    "scale",
    "signs",
    "detail_weights",
    "outline_weights",
    "outline_scale",
    "shape",
    "block",
    "digest_key",
    "detail_floor",
)


class Queries:
    """Base of detectors that hold a query against the client's last 44 distinct ones; they share one memory.

    Of a query ``x`` in standard units (``detectors.scale``) it keeps its label, its largest class probability, and

    * a fingerprint of all bytes (``detectors.digest``): identical repeats are known by it and not remembered anew;
    * ``z``: 8 sums with random signs, so that squared distances estimate the mean squared difference per feature
      (Achlioptas 2003);
    * ``detail``: 12 sums with random signs of what fine detail it has (``detectors.detail``), in steps of 1/64 of
      ``detail_floor``, within ±512 floors;
    * ``blocks``: a hash of one byte of each of 16 blocks of features (``detectors.detail``) or parts of a picture
      (``detectors.parts``);
    * ``outline``, of a picture: the strengths of its 12 slowest waves (``detectors.outline``), each in steps of 1/256
      of its standard deviation in clean traffic.

    ``detail_floor``: how close in detail two different queries of one clean client come: the 0.5 % quantile over
    queries, each client counting the same, of the distance to the nearest earlier one; but at most a quarter of the
    0.5 % quantile between different clients, should no clean client watch one scene.

    Signs, keys and blocks come from a seed that only the clean traffic gives: whoever lacks it cannot aim at them.
    """

    costly: ClassVar[bool] = False

    def __init__(self, params: Params) -> None:
        self._scale = Scale(params)
        self._digest_key = params["digest_key"].astype(np.uint64)
        self._block = params["block"].astype(np.int64)
        #: Of pictures; other inputs have blocks.
        self._parts = parts_of(params)
        weights = [params[name].astype(np.float64) for name in ("detail_weights", "outline_weights")]
        self._weights = np.concatenate([params["signs"][:DIMS].astype(np.float64), *weights])
        self._outline_scale = params["outline_scale"].astype(np.float64)
        self._step = float(params["detail_floor"]) / DETAIL_STEPS
        self._measured: list[tuple[Any, ...]] = [
            ("key", "<i8"),
            ("z", "<f4", (DIMS,)),
            ("blocks", "<i8", (2,)),
            ("detail", "<i2", (DETAIL_DIMS,)),
        ]
        if len(self._outline_scale):
            self._measured.append(("outline", "<i2", self._outline_scale.shape))
        self.memory = History([*self._measured, ("label", "<i4"), ("top", "<f4")], RING)
        self.memory_key = b"queries " + params_digest({name: params[name] for name in _PARAMS})

    @staticmethod
    @fit_once
    def fit_queries(clean: EventBatch) -> Params:
        params = Scale.fit(clean)
        seed, d = seed_of(clean), clean.x.shape[1]
        signs = np.random.default_rng(seed).choice(np.array([-1, 1], dtype=np.int8), size=(DETAIL_DIMS, d))
        params |= {
            "signs": signs,
            "detail_weights": detail_weights(signs, clean.shape),
            "shape": np.array(clean.shape, dtype=np.int64),
            "block": block_of_feature(0 if is_picture(clean.shape) else d, np.random.default_rng([seed, 1])),
            "digest_key": digest_key(seed, d),
            "detail_floor": np.array(1.0),
            "outline_weights": outline_weights(clean.shape),
            "outline_scale": np.empty(0),
        }
        rows, _ = sample(clean)
        deviations = np.std(Queries(params).outlines(clean.x[rows]), axis=0)
        params["outline_scale"] = round_sig(np.where(deviations > 0, deviations, 1.0))
        queries = Queries(params)
        floor = spacing_floor(clean, lambda x: queries.projected(x)[:, DIMS:], RING)
        return params | {"detail_floor": np.array(floor)}

    def spacing(self, clean: EventBatch, quantile: float) -> float:
        """Quantile of the distances of ``z`` between rows of different clients, in standard units."""
        rows, clients = sample(clean)
        return between_clients(self.projected(clean.x[rows])[:, :DIMS], clients, quantile)

    def remembered(self, rows: Rows) -> Entries:
        """What is to be remembered of each row; not to be written to."""
        return rows.noted(b"entries " + self.memory_key, lambda: self._entries(rows))

    def _entries(self, rows: Rows) -> Entries:
        batch = rows.batch
        measured = rows.measured(self.memory_key, np.arange(len(rows)), self._measure)
        queries = np.empty(len(rows), self.memory.dtype)
        for name, *_ in self._measured:
            queries[name] = measured[name]
        queries["label"] = batch.labels & 0x7FFFFFFF
        queries["top"] = np.nan if batch.scores is None else batch.scores.max(axis=1, initial=0.0)
        return queries

    def learn(self, rows: Rows, of: BoolArray | None = None) -> None:
        by_client = rows.by_client(of)
        by_client = by_client[self.new(rows)[by_client]]
        self.memory.append(rows.slots[by_client], self.remembered(rows)[by_client])
        rows.forget_noted(self.memory_key)

    def new(self, rows: Rows) -> BoolArray:
        """Which rows are none of their client's 44 distinct queries before them, ``(n,)``; not to be written to."""
        return rows.noted(self.memory_key, lambda: self._new(rows))

    def _new(self, rows: Rows) -> BoolArray:
        keys, known = self.remembered(rows)["key"], (self.memory.pool["key"], self.memory.owned)
        new = np.empty(len(rows), dtype=np.bool_)
        fresh(rows.order, rows.begins, rows.slots, keys, *known, RING, new)
        return new

    def known(self, rows: Rows, row: int) -> int:
        """With how many earlier queries of its client a row is compared, given the memory and the rows before it."""
        mine = rows.up_to(row)
        keys = self.remembered(mine)["key"][:-1].tolist()
        held = self.memory.entries(int(mine.slots[0]))["key"].tolist()
        return min(len({*held, *keys}), RING)

    def projected(self, x: Inputs) -> FloatArray:
        """``z`` and, in standard units, ``detail`` of inputs ``(n, d)``, ``(n, 8 + 12)``."""
        return self._sums(x)[:, : DIMS + DETAIL_DIMS]

    def outlines(self, x: Inputs) -> FloatArray:
        """``outline`` of inputs ``(n, d)``, not scaled, ``(n, 12)``; no columns if they are no pictures."""
        return amplitudes(self._sums(x)[:, DIMS + DETAIL_DIMS :])

    def _sums(self, x: Inputs) -> FloatArray:
        """Weighted sums of all kinds, ``(n, m)``; exact but for the division that ends them."""
        out = np.empty((len(x), len(self._weights)))
        for block in row_blocks(len(x), x.shape[1]):
            out[block] = self._scale(x[block]) @ self._weights.T
        out[:, :DIMS] /= np.sqrt(DIMS * x.shape[1])
        out[:, DIMS:] /= np.sqrt(DETAIL_DIMS * x.shape[1])
        return out

    def _measure(self, x: Inputs) -> Measures:
        out, sums = np.empty(len(x), self._measured), self._sums(x)
        out["z"] = sums[:, :DIMS]
        out["detail"] = _steps(sums[:, DIMS : DIMS + DETAIL_DIMS] / self._step)
        if len(self._outline_scale):
            out["outline"] = _steps(amplitudes(sums[:, DIMS + DETAIL_DIMS :]) * (OUTLINE_STEPS / self._outline_scale))
        keys, hashes = self._digests(x)
        out["key"], out["blocks"] = keys.view(np.int64), hashes.view(np.int64)
        return out

    def block_hashes(self, x: Inputs) -> npt.NDArray[np.uint8]:
        """Hashes of the blocks of inputs ``(n, d)``, ``(n, 16)``."""
        return self._digests(x)[1]

    def _digests(self, x: Inputs) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]:
        if self._parts is not None:
            return digests(x, self._digest_key).view(np.uint64), self._parts.hashes(x)
        keys, hashes = np.empty(len(x), dtype=np.uint64), np.empty((len(x), BLOCKS), dtype=np.uint8)
        for block in row_blocks(len(x), x.shape[1]):
            words = (x[block] + np.float32(0.0)).view(np.uint32)  # -0.0 counts as 0.0
            block_digests(words, self._digest_key, self._block, keys[block], hashes[block])
        return keys, hashes


def _steps(values: FloatArray) -> FloatArray:
    return np.minimum(np.maximum(np.rint(values), -32767.0), 32767.0)  # np.clip takes five times as long for a few
