"""Out-of-sample scores of clean traffic: each client is scored by a detector that was fitted without it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from detectors.alone import Alone
from detectors.batch import EventBatch, FloatArray, IntArray
from detectors.contract import RowDetector
from detectors.registry import RowDetectorType

FOLDS: Final = 3
#: Rows scored before they are learned; changes no score, bounds memory.
_STEP: Final = 512


def client_folds(clean: EventBatch) -> IntArray:
    """Fold of each row, ``(n,)``: clients are dealt out, the busiest first, back and forth, so folds are alike."""
    rows = Counter(clean.clients)
    ranked = sorted(rows, key=lambda client: (-rows[client], client))
    deal = [*range(FOLDS), *reversed(range(FOLDS))]
    fold = {client: deal[i % len(deal)] for i, client in enumerate(ranked)}
    return np.array([fold[client] for client in clean.clients], dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """One fold: the rows ``index`` of its clients, as a batch, and those of all others."""

    index: IntArray
    mine: EventBatch
    others: EventBatch


def held_out(clean: EventBatch) -> list[HeldOut]:
    """The folds that have clients."""
    fold = client_folds(clean)
    each = [np.flatnonzero(fold == f) for f in range(FOLDS)]
    return [HeldOut(mine, clean.take(mine), clean.take(fold != f)) for f, mine in enumerate(each) if len(mine)]


def held_out_scores(kind: RowDetectorType, folds: Sequence[HeldOut]) -> FloatArray:
    """Scores ``(n,)`` as a stream would see them, from detectors fitted on the clients of the other folds."""
    scores = np.full(sum(len(fold.index) for fold in folds), np.nan)
    for fold in folds:
        scores[fold.index] = streamed(kind(kind.fit(fold.others)), fold.mine)
    return scores


def streamed(detector: RowDetector, batch: EventBatch) -> FloatArray:
    """Score and learn all rows in order."""
    scores = np.empty(len(batch))
    alone = Alone(detector)
    for start in range(0, len(batch), _STEP):
        rows = alone.rows(batch.take(np.arange(start, min(start + _STEP, len(batch)))))
        scores[start : start + len(rows)] = detector.score(rows)
        detector.learn(rows)
    return scores
