"""Synthetic tabular traffic for speed measurements: correlated features, a linear classifier, many clients."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.codec import encode_compact
from monitor.codec.tensors import to_list
from monitor.event import Event
from replay.schedule import Record

START_TS = 1_763_715_600.0
#: Requests in a full compact record.
PER_COMPACT_RECORD = 20


def tabular_events(
    n: int,
    d: int,
    clients: int,
    seed: int,
    duration_s: float = 600.0,
    *,
    start_s: float = 0.0,
    owner: npt.NDArray[np.int64] | None = None,
) -> list[Event]:
    """``n`` events of ``d`` features with three class scores, spread evenly over time, at random over clients.

    ``start_s``: when the first one comes, seconds after the traffic's epoch. ``owner``: each event's client, ``(n,)``.
    """
    rng = np.random.default_rng(seed)
    mixing, _ = _model(d)
    x = (rng.normal(size=(n, len(mixing))) @ mixing + 0.3 * rng.normal(size=(n, d))).astype(np.float32)
    scores = classify(x)
    owner = rng.integers(clients, size=n) if owner is None else owner
    return [
        Event(
            id=f"{seed}-{i}",
            ts=START_TS + start_s + duration_s * i / n,
            model="tabular",
            x=x[i : i + 1],
            shape=(d,),
            client_id=f"c{owner[i]}",
            client_ip=f"10.{owner[i] >> 16 & 255}.{owner[i] >> 8 & 255}.{owner[i] & 255}",
            scores=scores[i : i + 1],
            labels=scores[i : i + 1].argmax(axis=1).astype(np.int64),
        )
        for i in range(n)
    ]


def classify(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Class probabilities ``(n, 3)`` of the model that the traffic is of."""
    logits = x @ _model(x.shape[1])[1]
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(scores / scores.sum(axis=1, keepdims=True), dtype=np.float32)


@cache
def _model(d: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """How the features hang together, ``(k, d)``, and the classifier's weights, ``(d, 3)``."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(min(d, 20), d)), rng.normal(size=(d, 3)) / np.sqrt(d)


def encoded(events: Sequence[Event], form: str) -> list[Record]:
    """Kafka records of the events: one each in JSON, up to 20 of one client in compact form."""
    if form == "json":
        return [Record(e.ts, e.client.encode(), value) for e, value in zip(events, _json(events), strict=True)]
    waiting: dict[str, list[Event]] = {}
    records = []
    for e in events:
        mine = waiting.setdefault(e.client, [])
        mine.append(e)
        if len(mine) == PER_COMPACT_RECORD:
            records.append(Record(e.ts, e.client.encode(), encode_compact(mine)))
            mine.clear()
    records += [Record(m[-1].ts, c.encode(), encode_compact(m)) for c, m in waiting.items() if m]
    return records


def _json(events: Sequence[Event]) -> list[bytes]:
    """What ``encode_json`` makes of the events, with the decimals of all of them worked out together."""
    x = np.reshape(to_list(np.concatenate([e.x for e in events])), (len(events), -1)).tolist()
    scores = np.reshape(to_list(np.concatenate([e.scores for e in events])), (len(events), -1)).tolist()
    encoder = msgspec.json.Encoder()
    return [
        encoder.encode(
            {
                "id": e.id,
                "ts": e.ts,
                "model": e.model,
                "client": {"id": e.client_id, "ip": e.client_ip},
                "inputs": inputs,
                "outputs": {"scores": outputs, "label": label},
            }
        )
        for e, inputs, outputs, label in zip(events, x, scores, (int(e.labels[0]) for e in events), strict=True)
    ]
