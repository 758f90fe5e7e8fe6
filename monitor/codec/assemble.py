"""Fields of either encoding to one validated Event: the checks that tie fields to one another."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.codec import fields, tensors
from monitor.codec.limits import MAX_MODEL_CHARS, Limits
from monitor.codec.tensors import Float32Array
from monitor.codec.wire import Client, Labels
from monitor.event import Event, Reason, Rejection, label_hash

_INT64: Final = range(-(2**63), 2**63)


def assemble(
    *,
    limits: Limits,
    now: float | None,
    id: str,
    ts: float | str,
    model: str,
    version: str | None,
    client: Client | None,
    inputs: Float32Array,
    shape: list[int] | None,
    rows: int | None,
    scores: Float32Array | None,
    label: Labels | None,
    value: Float32Array | None,
    embedding: Float32Array | None,
    tags: dict[str, str] | None,
) -> Event:
    """The event, arrays flat on the way in and ``(rows, ...)`` on the way out. Raises Rejection, nothing else."""
    n = 1 if rows is None else rows
    if not 1 <= n <= limits.max_rows:
        raise Rejection(Reason.OUT_OF_RANGE, f"rows: is not between 1 and {limits.max_rows}")
    row_shape = tensors.row_shape(len(inputs), n, shape)
    labels, label_names = (None, None) if label is None else _labels(label, n)
    return Event(
        id=fields.name(id, "id"),
        ts=fields.event_time(ts, limits, now),
        model=fields.name(model, "model", MAX_MODEL_CHARS),
        x=inputs.reshape(n, -1),
        shape=row_shape,
        version=fields.name(version, "version", MAX_MODEL_CHARS, may_be_empty=True) if version else "",
        client_id=fields.name(client.id, "client.id", may_be_empty=True) if client and client.id else "",
        client_ip=fields.address(client.ip) if client and client.ip is not None else "",
        scores=None if scores is None else tensors.per_row(scores, n, "outputs.scores"),
        labels=labels,
        label_names=label_names,
        values=None if value is None else _one_per_row(value, n),
        embedding=None if embedding is None else tensors.per_row(embedding, n, "embedding"),
        tags=fields.bounded_tags(tags) if tags else {},
    )


def _one_per_row(value: Float32Array, rows: int) -> Float32Array:
    if len(value) != rows:
        raise Rejection(Reason.SHAPE_MISMATCH, f"outputs.value: {len(value)} values for {rows} rows")
    return value


def _labels(label: Labels, rows: int) -> tuple[npt.NDArray[np.int64], tuple[str, ...] | None]:
    served = label if isinstance(label, list) else [label]
    if len(served) != rows:
        raise Rejection(Reason.SHAPE_MISMATCH, f"outputs.label: {len(served)} labels for {rows} rows")
    names = tuple(fields.name(v, "outputs.label") for v in served if isinstance(v, str))
    if names:
        if len(names) != len(served):
            raise Rejection(Reason.WRONG_TYPE, "outputs.label: mixes integers and strings; use one of them")
        return np.array([label_hash(v) for v in names], dtype=np.int64), names
    if not all(v in _INT64 for v in served):
        raise Rejection(Reason.OUT_OF_RANGE, "outputs.label: an integer does not fit 64 bits")
    return np.array(served, dtype=np.int64), None
