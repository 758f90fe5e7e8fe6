"""Plain JSON requests, many at once: one walk over all their bytes instead of a parser's call for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.batch import BoolArray, IntArray
from detectors.run_ranks import runs
from monitor.codec import json_scan as at
from monitor.codec.limits import Limits
from monitor.codec.requests import Requests, Tensors
from monitor.codec.wire import Labels

_T = TypeVar("_T")
#: Bytes that are joined and walked over together.
_AT_ONCE: Final = 1 << 18
_SHAPE: Final = msgspec.json.Decoder(list[int])
#: Behind the last record: no character of any.
_END: Final = b"\0"


def quick_json(values: Sequence[bytes], limits: Limits) -> tuple[Requests | None, BoolArray]:
    """The requests of records that ``json_scan.scan`` takes, in order, and which records those are, ``(n,)``.

    None if it takes none. What is taken has the same values as ``plain_json`` gives.
    """
    if not values:
        return None, np.empty(0, np.bool_)
    n, sizes = len(values), np.fromiter(map(len, values), np.int64, len(values))
    ends = np.cumsum(sizes)
    total, so_far = int(ends[-1]), np.zeros(at.PLACES, np.int64)
    taken, fields, times = np.empty(n, np.bool_), np.empty((at.WIDTH, n), np.int64), np.empty(n)
    served = np.empty(n, np.float32)
    inputs, scores = (np.empty(total // 2 + 1, np.float32) for _ in range(2))  # a number, and what ends it
    texts, lines = np.empty(total, np.uint8), np.empty((at.LINES, total + n), np.uint8)
    begin = 0
    while begin < n:  # as much at once as a cache holds
        end = max(int(np.searchsorted(ends, ends[begin] - sizes[begin] + _AT_ONCE)), begin + 1)
        raw = np.frombuffer(b"".join((*values[begin:end], _END)), np.uint8)
        some = np.cumsum(sizes[begin:end])
        at.scan(
            raw, some, limits.max_bytes, at.POWERS, so_far, taken, fields, times, served, inputs, scores, texts, lines
        )
        begin = end
    if not so_far[at.TAKEN]:
        return None, taken
    if not taken.all():
        fields, times, served = fields[:, taken], times[taken], served[taken]
    text = texts[: so_far[at.AT_TEXT]].tobytes().decode("ascii")
    return _requests(text, _lines(lines, so_far), fields, times, served, inputs, scores), taken


def _lines(lines: npt.NDArray[np.uint8], so_far: IntArray) -> list[list[str]]:
    ends = so_far[at.AT_LINE : at.AT_LINE + at.LINES] - 1  # the last line's end begins no other
    return [line[:end].tobytes().decode("ascii").split("\n") for line, end in zip(lines, ends, strict=True)]


def _requests(
    text: str,
    lines: list[list[str]],
    fields: npt.NDArray[np.int64],
    times: npt.NDArray[np.float64],
    served: npt.NDArray[np.float32],
    inputs: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
) -> Requests:
    for i in np.flatnonzero(np.isnan(times)).tolist():
        times[i] = float(text[fields[at.TS, i] : fields[at.TS + 1, i]])
    valued = fields[at.HAS_VALUE] > 0
    ips: list[str | None] = [*lines[at.CLIENT_IP]]
    if not all(ips):
        ips = [ip or None for ip in ips]
    return Requests(
        lines[at.ID],
        times,
        _repeated(text, fields, at.MODEL, at.MODEL_OF, str),
        _repeated(text, fields, at.VERSION, at.VERSION_OF, str),
        lines[at.CLIENT_ID],
        ips,
        _tensors(inputs, fields[at.INPUTS]),
        _repeated(text, fields, at.SHAPE, at.SHAPE_OF, _shape) if (fields[at.SHAPE] >= 0).any() else None,
        _tensors(scores, fields[at.SCORES]) if (fields[at.SCORES] >= 0).any() else None,
        _labels(text, fields),
        Tensors(served[valued], np.where(valued, 1, -1)) if valued.any() else None,
        None,
        None,
    )


def _tensors(numbers: npt.NDArray[np.float32], counts: IntArray) -> Tensors:
    return Tensors(numbers[: np.maximum(counts, 0).sum()], counts)


def _repeated(text: str, fields: npt.NDArray[Any], column: int, first: int, read: Callable[[str], _T]) -> list[_T]:
    """Texts that are mostly those of the record before: each is read once for all in a row that have it."""
    owners = fields[first]
    begins, sizes = runs(owners)
    values = [read(text[a:b]) for a, b in fields[column : column + 2, begins].T.tolist()]
    if len(values) == 1:
        return values * len(owners)
    return [value for value, size in zip(values, sizes.tolist(), strict=True) for _ in range(size)]


def _shape(text: str) -> list[int] | None:
    """What is no list of numbers is a shape that nothing has."""
    try:
        return _SHAPE.decode(text) if text else None
    except msgspec.DecodeError:
        return []


def _labels(text: str, fields: npt.NDArray[np.int64]) -> IntArray | list[Labels | None] | None:
    numbered, named = fields[at.HAS_LABEL] > 0, fields[at.LABEL_NAME] >= 0
    if numbered.all():
        return np.array(fields[at.LABEL])
    if not (numbered | named).any():
        return None
    labels: list[Labels | None] = [None] * fields.shape[1]
    for i in np.flatnonzero(numbered).tolist():
        labels[i] = int(fields[at.LABEL, i])
    for i in np.flatnonzero(named).tolist():
        labels[i] = text[fields[at.LABEL_NAME, i] : fields[at.LABEL_NAME + 1, i]]
    return labels
