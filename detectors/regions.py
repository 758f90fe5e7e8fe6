"""Which part of the input space a row lies in, and whether its client was there lately."""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.batch import EventBatch, FloatArray, IntArray
from detectors.contract import Params
from detectors.digest import seed_of
from detectors.exact import row_blocks
from detectors.memory import ClientMemory
from detectors.subspace import Subspace

#: Places remembered per client; 8 bytes each.
RING: Final = 32
_SIGNS: Final = 48
#: A place is new if it differs in this many signs from each of the latest few.
_APART: Final = 6
_LATEST: Final = 4


class Regions(ClientMemory):
    """Base of detectors that judge an input once: opinions only on rows in a place new to their client.

    A camera that watches one odd scene for an hour is one odd input, and so is a health check with an odd picture;
    frame after frame they are no independent evidence. A row's place is 48 random signs of its leading coefficients in
    standard deviations (Charikar 2002; B4B, Dubinski et al. 2023, arXiv 2310.08571, measures coverage by such buckets).
    It is new if it equals none of the client's last 32 new places and differs in at least 6 signs from each of the
    last 4.
    """

    def __init__(self, params: Params) -> None:
        super().__init__(np.int64, RING)
        self.subspace = Subspace(params)
        self._sd = np.sqrt(self.subspace.variance[: self.subspace.leading])
        self._planes = params["planes"].astype(np.float64)

    @staticmethod
    def with_planes(params: Params, clean: EventBatch) -> Params:
        """Parameters of a ``Subspace`` together with the signs of its regions."""
        rng = np.random.default_rng(seed_of(clean))
        size = (_SIGNS, int(params["leading"]))
        return params | {"planes": rng.choice(np.array([-1, 1], dtype=np.int8), size=size)}

    def locate(self, batch: EventBatch) -> tuple[FloatArray, IntArray]:
        """Leading coefficients in standard deviations, ``(n, q)``, and place of each row, ``(n,)``."""
        white = np.empty((len(batch), len(self._sd)))
        for block in row_blocks(len(batch), batch.x.shape[1]):
            white[block] = self.subspace.leading_coefficients(batch.x[block]) / self._sd
        # Rounding keeps the last bit of a sum, which may depend on the batch's size, from choosing the side.
        signs = np.round(white @ self._planes.T, 9) > 0
        return white, np.asarray(signs @ (1 << np.arange(_SIGNS)), dtype=np.int64)

    def entering(self, batch: EventBatch, places: IntArray) -> IntArray:
        """Indices of the rows in new places, ascending."""
        rows = [self._new(c, r, places) for c, r in batch.by_client().items()]
        return np.sort(np.concatenate(rows)) if rows else np.empty(0, np.int64)

    def learn(self, batch: EventBatch) -> None:
        places = self.locate(batch)[1]
        for client, rows in batch.by_client().items():
            self.remember(client, places[self._new(client, rows, places)])

    def _new(self, client: str, rows: IntArray, places: IntArray) -> IntArray:
        known: list[int] = self.history(client).tolist()
        new = []
        for row, place in zip(rows.tolist(), places[rows].tolist(), strict=True):
            if place in known or any((place ^ late).bit_count() < _APART for late in known[-_LATEST:]):
                continue
            known = [*known[-RING + 1 :], place]
            new.append(row)
        return np.asarray(new, dtype=np.int64)
