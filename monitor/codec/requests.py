"""Plain requests as columns, unchecked: what both quick ways of reading give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from detectors.batch import FloatArray, IntArray
from monitor.codec.plain import Plain
from monitor.codec.tensors import Float32Array
from monitor.codec.wire import Labels

_BYTES: Final = np.dtype(np.float32).itemsize


class Tensors(NamedTuple):
    """``flat``: numbers of all, one behind the other. ``counts``: of each, ``(n,)``, -1 where there is no tensor."""

    flat: Float32Array
    counts: IntArray


class Requests(NamedTuple):
    """Columns of ``n`` requests of one row each; None as a column: no request has one."""

    ids: list[str]
    times: FloatArray
    models: list[str]
    versions: list[str]
    client_ids: list[str]
    ips: list[str | None]
    inputs: Tensors
    shapes: list[list[int] | None] | None
    scores: Tensors | None
    labels: IntArray | list[Labels | None] | None
    values: Tensors | None
    embeddings: Tensors | None
    tags: list[dict[str, str]] | None


def columns_of(plain: Sequence[Plain]) -> tuple[Requests, set[int]]:
    """The columns of at least one request, and which of them have tensors that are no whole number of float32."""
    ids, times, models, versions, client_ids, ips, inputs, shapes, scores, labels, values, embeddings, tags = (
        list(column) for column in zip(*plain, strict=True)
    )
    bad: set[int] = set()
    requests = Requests(
        ids,
        np.array(times, dtype=np.float64),
        models,
        [v or "" for v in versions],
        [c or "" for c in client_ids],
        ips,
        _tensors(inputs, bad),
        None if shapes.count(None) == len(shapes) else shapes,
        _some(scores, bad),
        None if labels.count(None) == len(labels) else labels,
        _some(values, bad),
        _some(embeddings, bad),
        [t or {} for t in tags] if any(tags) else None,
    )
    return requests, bad


def _some(column: list[bytes | None], bad: set[int]) -> Tensors | None:
    return None if column.count(None) == len(column) else _tensors(column, bad)


def _tensors(column: Sequence[bytes | None], bad: set[int]) -> Tensors:
    sizes = np.array([-_BYTES if raw is None else len(raw) for raw in column], dtype=np.int64)
    broken = np.flatnonzero(sizes % _BYTES)
    if len(broken):
        bad.update(broken.tolist())
        sizes[broken] = 0
    parts = [raw for raw, size in zip(column, sizes.tolist(), strict=True) if raw is not None and size > 0]
    return Tensors(np.frombuffer(b"".join(parts), dtype="<f4").astype(np.float32, copy=False), sizes // _BYTES)
