"""Many plain requests to events at once: each check is made on a whole column, and who fails it is left to others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.batch import FloatArray, IntArray
from detectors.digest import text_bytes
from monitor.codec import fields, tensors
from monitor.codec.limits import MAX_MODEL_CHARS, MAX_NAME_CHARS, MAX_TS, Limits
from monitor.codec.plain import Plain
from monitor.codec.plain_ipv4 import all_plain_ipv4
from monitor.codec.requests import Requests, Tensors, columns_of
from monitor.codec.tensors import Float32Array
from monitor.codec.wire import Labels
from monitor.event import Event, Rejection, client_keys, label_hash
from monitor.event_block import EventBlock

_NAN: Final = np.float32(np.nan)
_INT64: Final = range(-(2**63), 2**63)

#: A tensor of each request: a table if all have one of the same length.
_Rows = Float32Array | list[Float32Array | None] | None


def assemble_plain(plain: Sequence[Plain], limits: Limits, now: float | None) -> tuple[Sequence[Event], set[int]]:
    """``assemble_requests`` of requests one by one."""
    if not plain:
        return [], set()
    requests, bad = columns_of(plain)
    events, more = assemble_requests(requests, limits, now)
    return events, bad | more


def assemble_requests(requests: Requests, limits: Limits, now: float | None) -> tuple[Sequence[Event], set[int]]:
    """Events of the requests, and the places of those that may be no events: their ``Event`` means nothing.

    Tensors are views of one shared array; requests of one form become a block.
    """
    bad: set[int] = set()
    bad.update(_bad_names(requests.ids))
    bad.update(_bad_names(requests.models, MAX_MODEL_CHARS))
    bad.update(_bad_names(requests.versions, MAX_MODEL_CHARS, may_be_empty=True))
    bad.update(_bad_names(requests.client_ids, may_be_empty=True))
    bad.update(_bad_times(requests.times, limits, now))
    bad.update(_bad_tags(requests.tags))
    ips = _addresses(requests.ips, bad)
    x, shapes = _rows(requests.inputs, bad, missing=True), _shapes(requests.inputs.counts, requests.shapes, bad)
    scores, embeddings = _rows(requests.scores, bad), _rows(requests.embeddings, bad)
    values = _rows(_single(requests.values, bad), bad)
    labels, names = _labels(requests.labels, bad)
    if (
        isinstance(x, np.ndarray)
        and isinstance(shapes, tuple)
        and not any(isinstance(column, list) for column in (scores, values, labels))
        and embeddings is None
        and requests.tags is None
    ):
        block = EventBlock(
            requests.ids,
            requests.times,
            requests.models,
            requests.versions,
            requests.client_ids,
            ips,
            client_keys(requests.client_ids, ips),
            x,
            shapes,
            scores,  # type: ignore[arg-type]  # none of them is a list
            labels,  # type: ignore[arg-type]  # the same
            names,
            None if values is None else values[:, 0],  # type: ignore[call-overload]  # the same
        )
        return block, bad
    n = len(requests.ids)
    nothing = [None] * n
    events = map(
        Event,
        requests.ids,
        requests.times.tolist(),
        requests.models,
        _each(x, n),
        [shapes] * n if isinstance(shapes, tuple) else shapes,
        requests.versions,
        requests.client_ids,
        ips,
        _each(scores, n),
        labels if isinstance(labels, list) else nothing if labels is None else list(labels[:, None]),
        nothing if names is None else names,
        [None if row is None else row[0] for row in _each(values, n)],
        _each(embeddings, n),
        requests.tags or [{} for _ in range(n)],
    )
    return list(events), bad


def _bad_names(names: Sequence[str], max_chars: int = MAX_NAME_CHARS, *, may_be_empty: bool = False) -> Collection[int]:
    """Names that ``fields.name`` may not take as they are."""
    least = 0 if may_be_empty else 1
    if names.count(names[0]) == len(names):
        return () if _good_name(names[0], least, max_chars) else range(len(names))
    lengths = list(map(len, names))
    if min(lengths) >= least and max(lengths) <= max_chars and "".join(names).isprintable():
        return ()
    return [i for i, v in enumerate(names) if not _good_name(v, least, max_chars)]


def _good_name(name: str, least: int, max_chars: int) -> bool:
    return least <= len(name) <= max_chars and name.isprintable()


def _bad_times(ts: FloatArray, limits: Limits, now: float | None) -> Collection[int]:
    latest = np.inf if now is None or limits.max_future_s is None else now + limits.max_future_s
    good = (ts > 0.0) & (ts < MAX_TS) & (ts <= latest)
    return () if good.all() else np.flatnonzero(~good).tolist()


def _bad_tags(tags: Sequence[dict[str, str]] | None) -> Collection[int]:
    return [i for i, t in enumerate(tags or ()) if not _passes(fields.bounded_tags, t)]


def _passes(check: Any, value: object) -> bool:
    try:
        check(value)
    except Rejection:
        return False
    return True


def _addresses(ips: Sequence[str | None], bad: set[int]) -> list[str]:
    """Canonical addresses; each that is not plain is looked at once, however many requests came from it."""
    given = [ip for ip in ips if ip is not None]
    if all_plain_ipv4(*text_bytes(given)):
        return given if len(given) == len(ips) else [ip or "" for ip in ips]
    canonical: dict[str | None, str] = {None: ""}
    for ip in set(given):
        if _passes(fields.address, ip):
            canonical[ip] = fields.address(ip)
    out = [canonical.get(ip) for ip in ips]
    bad.update(i for i, ip in enumerate(out) if ip is None)
    return [ip or "" for ip in out]


def _rows(column: Tensors | None, bad: set[int], *, missing: bool = False) -> _Rows:
    """The tensors as a table ``(n, k)``, or as ``(1, k)`` views; in ``bad`` those that are empty or not finite.

    NaN is a missing value where ``missing`` allows it.
    """
    if column is None:
        return None
    flat, counts = column
    ends = np.cumsum(np.maximum(counts, 0))
    if (counts == 0).any():
        bad.update(np.flatnonzero(counts == 0).tolist())
    finite = np.isfinite(flat)
    if not finite.all():
        absent = np.isnan(flat) if missing else np.zeros_like(finite)
        broken = np.flatnonzero(~(finite | absent))
        bad.update(np.searchsorted(ends, broken, side="right").tolist())
        flat = np.where(absent, _NAN, flat)  # one NaN for all, as ``tensors`` has it
    if counts[0] > 0 and (counts == counts[0]).all():
        return flat.reshape(len(counts), -1)
    table = flat[None, :]
    return [
        None if count < 0 else table[:, end - count : end]
        for count, end in zip(counts.tolist(), ends.tolist(), strict=True)
    ]


def _single(column: Tensors | None, bad: set[int]) -> Tensors | None:
    """Tensors of one value each; those of more are in ``bad``."""
    if column is not None:
        bad.update(np.flatnonzero((column.counts != 1) & (column.counts >= 0)).tolist())
    return column


def _each(rows: _Rows, n: int) -> list[Float32Array | None]:
    if rows is None:
        return [None] * n
    return rows if isinstance(rows, list) else list(rows[:, None])


def _shapes(
    counts: IntArray, shapes: list[list[int] | None] | None, bad: set[int]
) -> tuple[int, ...] | list[tuple[int, ...]]:
    """Shape of each row, one tuple for all that are alike; one for all if all are."""
    if shapes is None:
        if (counts == counts[0]).all():
            return (int(counts[0]),)
        flat = {count: (count,) for count in set(counts.tolist())}
        return [flat[count] for count in counts.tolist()]  # the empty ones are in ``bad`` already
    known: dict[tuple[int, tuple[int, ...] | None], tuple[int, ...] | None] = {}
    out = []
    for i, (count, shape) in enumerate(zip(counts.tolist(), shapes, strict=True)):
        key = (count, None if shape is None else tuple(shape))
        if key not in known:
            try:
                known[key] = tensors.row_shape(count, 1, shape)
            except Rejection:
                known[key] = None
        found = known[key]
        if found is None:
            bad.add(i)
        out.append(found or ())
    return out[0] if len(known) == 1 else out


def _labels(
    column: IntArray | list[Labels | None] | None, bad: set[int]
) -> tuple[IntArray | list[npt.NDArray[np.int64] | None] | None, list[tuple[str, ...] | None] | None]:
    """Labels ``(n,)``, or as ``(1,)`` views where some have none; and their names where they came as text."""
    if column is None or isinstance(column, np.ndarray):
        return column, None
    names: list[tuple[str, ...] | None] = [None] * len(column)
    codes = [0] * len(column)
    none = []
    for i, served in enumerate(column):
        label = served[0] if isinstance(served, list) and len(served) == 1 else served
        if isinstance(label, int) and label in _INT64:
            codes[i] = label
        elif isinstance(label, str) and _good_name(label, 1, MAX_NAME_CHARS):
            codes[i], names[i] = label_hash(label), (label,)
        elif label is None:
            none.append(i)
        else:
            bad.add(i)
    known = np.array(codes, dtype=np.int64)
    named = names if any(names) else None
    if not none:
        return known, named
    views: list[npt.NDArray[np.int64] | None] = list(known[:, None])
    for i in none:
        views[i] = None
    return views, named
