"""Which part of the input space a row lies in, whether its client was there lately, and what it was told there."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from detectors.answers import answer_codes, common_answers, doubts
from detectors.batch import BoolArray, EventBatch, IntArray
from detectors.contract import Params
from detectors.digest import params_digest, seed_of
from detectors.exact import row_blocks
from detectors.fit_once import fit_once
from detectors.history import Entries, History
from detectors.kernels.measures import sides
from detectors.kernels.places import entering
from detectors.rows import Inputs, Measures, Rows
from detectors.subspace import Subspace

#: Visits remembered per client; 12 bytes each.
RING: Final = 32
_SIGNS: Final = 48
#: A place is new if it differs in this many signs from each of the latest few.
APART: Final = 6
LATEST: Final = 4
#: And it is a leap if it differs in this many: two rows have some 24 different.
LEAP: Final = 12
#: An entry into a new place. ``coarse``: the lowest 8 signs of ``place``; ``answer``: its ``code``, and the ``doubt``
#: about it times 256 (``detectors.answers``); ``entry``, ``leap``: how many of the client's entries and leaps there
#: have been with this one, modulo 128, and 128 more if it is one.
VISIT: Final = np.dtype(
    {
        "names": ["place", "coarse", "answer", "code", "doubt", "entry", "leap"],
        "formats": ["<i8", "u1", "<u2", "u1", "u1", "u1", "u1"],
        "offsets": [0, 0, 8, 8, 9, 10, 11],
        "itemsize": 12,
    }
)
#: Projections within this of the border lie on the lower side: the last bit of a sum must not choose.
_BORDER: Final = 5e-10


class Regions:
    """Base of detectors that judge an input once: opinions only on rows in a place new to their client.

    A camera that watches one odd scene for an hour is one odd input, and so is a health check with an odd picture;
    frame after frame they are no independent evidence. A row's place is 48 random signs of its leading coefficients in
    standard deviations (Charikar 2002; B4B, Dubinski et al. 2023, arXiv 2310.08571, measures coverage by such buckets).
    It is new if it equals none of the client's last 32 new places and differs in at least 6 signs from each of the
    last 4; and it is a leap if it differs in 12 from each of them, as two independent rows do: a camera whose scene
    melts into the next comes to new places step by step.

    Of each entry into a new place, 32 a client, it remembers the place and what was answered there: all detectors that
    judge an input once, or several entries together (``detectors.visits``), share this memory.
    """

    costly: ClassVar[bool] = True

    def __init__(self, params: Params) -> None:
        self.memory = History(VISIT, RING)
        self.subspace = Subspace(params)
        self._sd = np.sqrt(self.subspace.variance[: self.subspace.leading])
        self._planes = params["planes"].astype(np.float64)
        used = {name: params[name] for name in ("median", "scale", "mean", "planes")}
        used |= {name: params[name][: self.subspace.leading] for name in ("weights", "variance")}
        self._regions_key = b"regions " + params_digest(used)
        self.answers = params["answers"].astype(np.int64)
        self.memory_key = b"visits " + params_digest(used | {"answers": params["answers"]})

    @staticmethod
    def with_planes(params: Params, clean: EventBatch) -> Params:
        """Parameters of a ``Subspace`` together with the signs of its regions and the answers that are told apart."""
        rng = np.random.default_rng(seed_of(clean))
        size = (_SIGNS, int(params["leading"]))
        planes = rng.choice(np.array([-1, 1], dtype=np.int8), size=size)
        return params | {"planes": planes, "answers": common_answers(clean.labels)}

    @staticmethod
    @fit_once
    def fit_regions(clean: EventBatch) -> Params:
        """Parameters of those who need regions and nothing else of the subspace."""
        return Regions.with_planes(Subspace.fit(clean), clean)

    def locate(self, x: Inputs) -> Measures:
        """Of each row, as records ``(n,)``: ``white``, leading coefficients in standard deviations; ``place``."""
        out = np.empty(len(x), np.dtype([("white", "<f8", (len(self._sd),)), ("place", "<i8")]))
        for block in row_blocks(len(x), x.shape[1]):
            white = self.subspace.leading_coefficients(x[block]) / self._sd
            places = np.empty(len(white), dtype=np.int64)
            sides(white @ self._planes.T, _BORDER, places)
            out["white"][block], out["place"][block] = white, places
        return out

    def located(self, rows: Rows) -> Measures:
        """``locate`` of all rows, once for all detectors with the same regions."""
        return rows.measured(self._regions_key, np.arange(len(rows)), self.locate)

    def entering(self, rows: Rows) -> IntArray:
        """Indices of the rows in places new to their clients, ascending."""
        return self._entered(rows)[1]

    def new(self, rows: Rows) -> BoolArray:
        """Which rows are in places new to their clients, ``(n,)``; not to be written to."""
        return self._entered(rows)[0]

    def visits(self, rows: Rows) -> Entries:
        """What is to be remembered of each row in a new place, ``(n,)``, nothing at others; not to be written to."""
        return self._entered(rows)[2]

    def learn(self, rows: Rows, of: BoolArray | None = None) -> None:
        by_client = rows.by_client(of)
        by_client = by_client[self.new(rows)[by_client]]
        self.memory.append(rows.slots[by_client], self.visits(rows)[by_client])
        rows.forget_noted(self.memory_key)

    def _entered(self, rows: Rows) -> tuple[BoolArray, IntArray, Entries]:
        return rows.noted(self.memory_key, lambda: self._look(rows))

    def _look(self, rows: Rows) -> tuple[BoolArray, IntArray, Entries]:
        new, visits = np.zeros(len(rows), dtype=np.bool_), np.zeros(len(rows), VISIT)
        visits["place"] = self.located(rows)["place"]
        words = self.memory.pool.view("<u4").reshape(-1, VISIT.itemsize // 4)
        places = np.ascontiguousarray(visits["place"])
        walk = (rows.order, rows.begins, rows.slots, places, words, self.memory.owned)
        entering(*walk, APART, LEAP, LATEST, RING, new, visits["entry"], visits["leap"])
        index = np.flatnonzero(new)
        visits["code"][index] = answer_codes(self.answers, rows.batch.labels[index])
        visits["doubt"][index] = doubts(rows.batch, index)
        return new, index, visits
