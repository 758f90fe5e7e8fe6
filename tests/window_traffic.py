"""Traffic of one model for tests of window detectors: clients alike within themselves, some features hard to bin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from detectors.batch import EventBatch

FEATURES = 6
CLASSES = 4


def traffic(
    seed: int,
    rows: int = 1200,
    clients: int = 24,
    duration_s: float = 1200.0,
    moved: float = 0.0,
    model: str = "m",
    first_client: int = 0,
) -> EventBatch:
    """Rows in event order. ``moved`` shifts features 0 and 3 by that many standard deviations.

    Features: 0 and 1 normal with an offset per client, 2 constant, 3 mostly zero, 4 one of three values, 5 half
    missing.
    """
    rng = np.random.default_rng(seed)
    who = rng.integers(0, clients, rows)
    offset = rng.normal(0.0, 0.5, (clients, FEATURES))
    x = rng.normal(0.0, 1.0, (rows, FEATURES)) + offset[who]
    x[:, 0] += moved
    x[:, 2] = 7.0
    x[:, 3] = np.where(rng.random(rows) < 0.7, 0.0, np.abs(x[:, 3])) + moved
    x[:, 4] = rng.integers(0, 3, rows)
    x[rng.random(rows) < 0.5, 5] = np.nan
    scores = np.exp(rng.normal(0.0, 2.0, (rows, CLASSES)))
    scores /= scores.sum(axis=1, keepdims=True)
    return EventBatch(
        model=model,
        ids=tuple(f"e{seed}-{i}" for i in range(rows)),
        ts=np.sort(rng.random(rows)) * duration_s,
        clients=tuple(f"client:acct-{first_client + c}" for c in who.tolist()),
        x=x.astype(np.float32),
        shape=(FEATURES,),
        labels=scores.argmax(axis=1).astype(np.int64),
        scores=scores.astype(np.float32),
        request=np.arange(rows, dtype=np.int64),
        versions=("3",) * rows,
        ips=("",) * rows,
    )


def reordered(batch: EventBatch, seed: int) -> EventBatch:
    return batch.take(np.random.default_rng(seed).permutation(len(batch)))


def without_outputs(batch: EventBatch) -> EventBatch:
    return replace(batch, scores=None, labels=np.full(len(batch), -1, dtype=np.int64))
