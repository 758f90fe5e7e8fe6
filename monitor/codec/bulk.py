"""Many plain requests to events at once: each check is made on a whole column, and who fails it is left to others."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from monitor.codec import fields, tensors
from monitor.codec.limits import MAX_MODEL_CHARS, MAX_NAME_CHARS, MAX_TS, Limits
from monitor.codec.plain import Plain
from monitor.codec.tensors import Float32Array
from monitor.codec.wire import Labels
from monitor.event import Event, Rejection, label_hash

_T = TypeVar("_T")
_BYTES: Final = np.dtype(np.float32).itemsize
_NAN: Final = np.float32(np.nan)
#: Lines of addresses that are canonical as they stand.
_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_PLAIN_IPV4: Final = re.compile(rf"(?:{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}\n)*")
_INT64: Final = range(-(2**63), 2**63)


def assemble_plain(plain: Sequence[Plain], limits: Limits, now: float | None) -> tuple[list[Event], set[int]]:
    """Events of the requests, and the places of those that may be no events: their ``Event`` means nothing.

    Tensors of the same length are views of one shared array.
    """
    if not plain:
        return [], set()
    ids, times, models, versions, client_ids, ips, inputs, shapes, scores, labels, values, embeddings, tags = (
        list(column) for column in zip(*plain, strict=True)
    )
    bad: set[int] = set()
    bad.update(_bad_names(ids))
    bad.update(_bad_names(models, MAX_MODEL_CHARS))
    versions = [v or "" for v in versions]
    bad.update(_bad_names(versions, MAX_MODEL_CHARS, may_be_empty=True))
    client_ids = [c or "" for c in client_ids]
    bad.update(_bad_names(client_ids, may_be_empty=True))
    bad.update(_bad_times(times, limits, now))
    bad.update(_bad_tags(tags))
    label_columns = _labels(labels, bad)
    return (
        list(
            map(
                Event,
                ids,
                times,
                models,
                _rows(inputs, bad, missing=True),
                _shapes(inputs, shapes, bad),
                versions,
                client_ids,
                _addresses(ips, bad),
                _rows(scores, bad),
                *label_columns,
                _scalars(values, bad),
                _rows(embeddings, bad),
                [t or {} for t in tags],
            )
        ),
        bad,
    )


def _bad_names(names: Sequence[str], max_chars: int = MAX_NAME_CHARS, *, may_be_empty: bool = False) -> Collection[int]:
    """Names that ``fields.name`` may not take as they are."""
    lengths = list(map(len, names))
    least = 0 if may_be_empty else 1
    if min(lengths) >= least and max(lengths) <= max_chars and "".join(names).isprintable():
        return ()
    return [i for i, v in enumerate(names) if not (least <= len(v) <= max_chars and v.isprintable())]


def _bad_times(times: Sequence[float], limits: Limits, now: float | None) -> Collection[int]:
    latest = np.inf if now is None or limits.max_future_s is None else now + limits.max_future_s
    ts = np.array(times, dtype=np.float64)
    good = (ts > 0.0) & (ts < MAX_TS) & (ts <= latest)
    return () if good.all() else np.flatnonzero(~good).tolist()


def _bad_tags(tags: Sequence[dict[str, str] | None]) -> Collection[int]:
    if not any(tags):
        return ()
    return [i for i, t in enumerate(tags) if t and not _passes(fields.bounded_tags, t)]


def _passes(check: Any, value: object) -> bool:
    try:
        check(value)
    except Rejection:
        return False
    return True


def _addresses(ips: Sequence[str | None], bad: set[int]) -> list[str]:
    """Canonical addresses; each is looked at once, however many requests came from it."""
    distinct = {ip for ip in ips if ip is not None}
    lines = "\n".join(distinct) + "\n"
    if lines.count("\n") == len(distinct) and _PLAIN_IPV4.fullmatch(lines):
        return [ip or "" for ip in ips]
    canonical: dict[str | None, str] = {None: ""}
    for ip in distinct:
        if _passes(fields.address, ip):
            canonical[ip] = fields.address(ip)
    out = [canonical.get(ip) for ip in ips]
    bad.update(i for i, ip in enumerate(out) if ip is None)
    return [ip or "" for ip in out]


def _rows(column: list[bytes | None], bad: set[int], *, missing: bool = False) -> list[Float32Array | None]:
    """``(1, k)`` views of the tensors; in ``bad`` those that are empty, no whole float32 values, or not finite.

    NaN is a missing value where ``missing`` allows it.
    """
    out: list[Float32Array | None] = [None] * len(column)
    for size, at in _by_length(column).items():
        if not size or size % _BYTES:
            bad.update(at)
            continue
        raw = column if len(at) == len(column) else [column[i] for i in at]
        block = np.frombuffer(b"".join(raw), dtype="<f4").astype(np.float32, copy=False).reshape(len(at), 1, -1)  # type: ignore[arg-type]  # none of them is None
        finite = np.isfinite(block)
        if not finite.all():
            absent = np.isnan(block) if missing else np.zeros_like(finite)
            bad.update(at[i] for i in np.flatnonzero(~(finite | absent).all(axis=(1, 2))).tolist())
            block = np.where(absent, _NAN, block)  # one NaN for all, as ``tensors`` has it
        _put(out, at, list(block))
    return out


def _scalars(column: list[bytes | None], bad: set[int]) -> list[Float32Array | None]:
    """``(1,)`` views of tensors of one value each."""
    bad.update(i for size, at in _by_length(column).items() if size != _BYTES for i in at)
    return [None if rows is None else rows[0] for rows in _rows(column, bad)]


def _shapes(inputs: list[bytes], shapes: list[list[int] | None], bad: set[int]) -> list[tuple[int, ...]]:
    """Shape of each row, one tuple for all that are alike."""
    if shapes.count(None) == len(shapes):
        flat = {size: (size // _BYTES,) for size in set(map(len, inputs))}
        return [flat[len(raw)] for raw in inputs]  # the empty ones are in ``bad`` already
    known: dict[tuple[int, tuple[int, ...] | None], tuple[int, ...] | None] = {}
    out = []
    for i, (raw, shape) in enumerate(zip(inputs, shapes, strict=True)):
        key = (len(raw) // _BYTES, None if shape is None else tuple(shape))
        if key not in known:
            try:
                known[key] = tensors.row_shape(key[0], 1, shape)
            except Rejection:
                known[key] = None
        found = known[key]
        if found is None:
            bad.add(i)
        out.append(found or ())
    return out


def _labels(
    column: list[Labels | None], bad: set[int]
) -> tuple[list[npt.NDArray[np.int64] | None], list[tuple[str, ...] | None]]:
    """Labels as ``(1,)`` views, and their names where they came as text."""
    names: list[tuple[str, ...] | None] = [None] * len(column)
    numbers = [label for label in column if isinstance(label, int) and label in _INT64]
    if len(numbers) == len(column):
        return list(np.array(numbers, dtype=np.int64)[:, None]), names
    codes = [0] * len(column)
    none = []
    for i, served in enumerate(column):
        label = served[0] if isinstance(served, list) and len(served) == 1 else served
        if isinstance(label, int) and label in _INT64:
            codes[i] = label
        elif isinstance(label, str) and not _bad_names([label]):
            codes[i], names[i] = label_hash(label), (label,)
        elif label is None:
            none.append(i)
        else:
            bad.add(i)
    views: list[npt.NDArray[np.int64] | None] = list(np.array(codes, dtype=np.int64)[:, None])
    for i in none:
        views[i] = None
    return views, names


def _by_length(column: list[bytes | None]) -> dict[int, Sequence[int]]:
    """Places of the tensors, by how long they are."""
    if column.count(None) == len(column):
        return {}
    if None not in column:
        lengths = set(map(len, column))  # type: ignore[arg-type]  # none of them is None
        if len(lengths) == 1:
            return {lengths.pop(): range(len(column))}
    out: dict[int, list[int]] = {}
    for i, raw in enumerate(column):
        if raw is not None:
            out.setdefault(len(raw), []).append(i)
    return dict(out)


def _put(out: list[_T | None], at: Sequence[int], values: list[_T]) -> None:
    if len(at) == len(out):
        out[:] = values
    else:
        for i, value in zip(at, values, strict=True):
            out[i] = value
