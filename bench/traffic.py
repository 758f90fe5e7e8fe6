"""Synthetic tabular traffic for speed measurements: correlated features, a linear classifier, many clients."""

from __future__ import annotations

import numpy as np

from monitor.event import Event

_START_TS = 1_763_715_600.0


def tabular_events(n: int, d: int, clients: int, seed: int, duration_s: float = 600.0) -> list[Event]:
    """``n`` events of ``d`` features with three class scores, spread evenly over time, at random over clients."""
    shape_rng, rng = np.random.default_rng(0), np.random.default_rng(seed)
    mixing = shape_rng.normal(size=(min(d, 20), d))
    weights = shape_rng.normal(size=(d, 3)) / np.sqrt(d)
    x = (rng.normal(size=(n, len(mixing))) @ mixing + 0.3 * rng.normal(size=(n, d))).astype(np.float32)
    logits = x @ weights
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores = (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)
    owner = rng.integers(clients, size=n)
    return [
        Event(
            id=f"{seed}-{i}",
            ts=_START_TS + duration_s * i / n,
            model="tabular",
            x=x[i : i + 1],
            shape=(d,),
            client_id=f"c{owner[i]}",
            client_ip=f"198.51.{owner[i] // 250}.{owner[i] % 250 + 1}",
            scores=scores[i : i + 1],
            labels=scores[i : i + 1].argmax(axis=1).astype(np.int64),
        )
        for i in range(n)
    ]
