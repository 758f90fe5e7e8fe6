"""Several entries into new places, looked at together: base of detectors that judge a client's coverage."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from detectors.batch import FloatArray, IntArray
from detectors.kernels.visits import ended_blocks
from detectors.regions import RING, Regions
from detectors.rows import Rows

#: Of k blocks what is looked at of each visit, unsigned ``(k, block)``, the latest first.
Blocks = npt.NDArray[Any]
#: Fields of a visit: by which it is numbered, and what is looked at.
Counted = Literal["entry", "leap"]
Looked = Literal["coarse", "code", "answer"]


class Visits(Regions):
    """Base of detectors that judge blocks of a client's visits (``detectors.regions``), which do not overlap.

    Only the row that ends a block has an opinion. A block whose beginning is no more among the client's 32 visits is
    given up: who seldom leaps has no blocks of leaps.

    Attributes:
        block: visits in a block, a power of two up to 32.
        counted: which visits: all entries into new places, or those by a leap.
        looked_at: what of each (``detectors.regions.VISIT``).
    """

    block: ClassVar[int]
    counted: ClassVar[Counted] = "entry"
    looked_at: ClassVar[Looked]

    def judge(self, blocks: Blocks) -> FloatArray:
        """Scores of blocks, ``(k,)``, in whatever order the visits of each are."""
        raise NotImplementedError

    def score(self, rows: Rows) -> FloatArray:
        out = np.full(len(rows), np.nan)
        ends, blocks = self._blocks(rows)
        if len(ends):
            out[ends] = self.judge(blocks)
        return out

    def ended(self, rows: Rows, row: int) -> Blocks:
        """The block that ends at a row, ``(1, block)``; ``(0, block)`` if none does."""
        mine = rows.up_to(row)
        ends, blocks = self._blocks(mine)
        return np.asarray(blocks[ends == len(mine) - 1])

    def _blocks(self, rows: Rows) -> tuple[IntArray, Blocks]:
        """Rows that end a block, ``(k,)``, and their blocks."""
        visits, pool = self.visits(rows), self.memory.pool
        most = len(self.entering(rows)) // self.block + len(rows.clients)
        ends, blocks = np.empty(most, dtype=np.int64), np.empty((most, self.block), visits.dtype[self.looked_at])
        walk = (rows.order, rows.begins, rows.slots, self.new(rows))
        mine = (visits[self.counted], visits[self.looked_at])
        known = (pool[self.counted], pool[self.looked_at], self.memory.owned)
        found = ended_blocks(*walk, *mine, *known, RING, self.block, ends, blocks)
        return ends[:found], blocks[:found]
