"""Numbers of an event: lists or bytes to finite float32 arrays whose length fits, and back to short decimals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.batch import FloatArray, round_sig
from monitor.codec.limits import MAX_DIMS
from monitor.event import Reason, Rejection

Float32Array = npt.NDArray[np.float32]

_FLOAT32_MAX: Final = float(np.finfo(np.float32).max)
#: Up to 6 significant digits always survive float32; 9 always tell two float32 values apart.
_DIGITS: Final = range(6, 10)
#: Whole numbers below this are exact in float32 and short as they are.
_SHORT_INTEGER: Final = 2.0**24


def from_list(values: Sequence[object], field: str, *, missing: bool = False) -> Float32Array:
    """Flat float32 array of numbers, nested or not, row-major; None is NaN where ``missing`` allows it.

    Raises Rejection: SHAPE_MISMATCH if ragged, TOO_DEEP past MAX_DIMS dimensions, OUT_OF_RANGE, NON_FINITE.
    """
    try:
        array = np.array(values, dtype=np.float64)
    except (ValueError, TypeError):  # numpy's errors for nested lists of unequal lengths
        raise Rejection(Reason.SHAPE_MISMATCH, f"{field}: nested arrays differ in length; make them equal") from None
    if array.ndim > MAX_DIMS:
        raise Rejection(Reason.TOO_DEEP, f"{field}: nests {array.ndim} levels; at most {MAX_DIMS}")
    return _finite(array.reshape(-1), field, missing)


def from_bytes(raw: bytes, field: str, *, missing: bool = False) -> Float32Array:
    """Flat float32 array of little-endian bytes; NaN is a missing value where ``missing`` allows it."""
    if len(raw) % 4:
        raise Rejection(Reason.SHAPE_MISMATCH, f"{field}: {len(raw)} bytes are no whole number of float32 values")
    return _finite(np.frombuffer(raw, dtype="<f4"), field, missing)


def _finite(flat: npt.NDArray[np.floating[Any]], field: str, missing: bool) -> Float32Array:
    if not len(flat):
        return flat.astype(np.float32, copy=False)
    largest = np.maximum.reduce(np.abs(flat))
    if missing and np.isnan(largest):
        absent = np.isnan(flat)
        flat = np.where(absent, flat.dtype.type(np.nan), flat)  # one NaN for all: others make casts complain
        largest = np.maximum.reduce(np.abs(flat), where=~absent, initial=0.0)
    if not float(largest) <= _FLOAT32_MAX:
        _check_each(flat, field, missing)
    return flat.astype(np.float32, copy=False)


def _check_each(flat: npt.NDArray[np.floating[Any]], field: str, missing: bool) -> None:
    bad = np.isinf(flat) if missing else ~np.isfinite(flat)
    if bad.any():
        raise Rejection(Reason.NON_FINITE, f"{field}[{int(bad.argmax())}]: is not finite; use null for a missing input")
    with np.errstate(over="ignore"):
        bad = np.isinf(flat.astype(np.float32))
    if bad.any():
        raise Rejection(Reason.OUT_OF_RANGE, f"{field}[{int(bad.argmax())}]: does not fit float32 (3.4e38)")


def row_shape(count: int, rows: int, shape: list[int] | None) -> tuple[int, ...]:
    """Shape of one row, so that ``rows * prod(shape) == count``; SHAPE_MISMATCH if it cannot be."""
    if count == 0:
        raise Rejection(Reason.SHAPE_MISMATCH, "inputs: is empty; give at least one value")
    if shape is None:
        if count % rows:
            raise Rejection(Reason.SHAPE_MISMATCH, f"inputs: {count} values do not divide into {rows} rows")
        return (count // rows,)
    if not 0 < len(shape) <= MAX_DIMS:
        raise Rejection(Reason.SHAPE_MISMATCH, f"shape: has {len(shape)} dimensions; 1 to {MAX_DIMS}")
    # Compared before multiplying: the product of hostile integers is a number of their summed length.
    if not all(0 < size <= count for size in shape) or rows * math.prod(shape) != count:
        raise Rejection(
            Reason.SHAPE_MISMATCH, f"shape: {rows} rows of the given shape are not the {count} values of inputs"
        )
    return tuple(shape)


def per_row(flat: Float32Array, rows: int, field: str) -> Float32Array:
    """``(rows, k)`` with k ≥ 1; SHAPE_MISMATCH if the length is no multiple of the rows."""
    if not len(flat) or len(flat) % rows:
        raise Rejection(Reason.SHAPE_MISMATCH, f"{field}: {len(flat)} values do not divide into {rows} rows")
    return flat.reshape(rows, -1)


def to_list(array: Float32Array) -> list[float]:
    """Flat list of the shortest decimals that read back as the same float32: 0.1, not 0.10000000149011612."""
    exact: FloatArray = array.reshape(-1).astype(np.float64)
    short = exact.copy()
    integer = (exact == np.round(exact)) & (np.abs(exact) < _SHORT_INTEGER)
    left = np.flatnonzero(np.isfinite(exact) & ~integer)
    for digits in _DIGITS:
        if not len(left):
            break
        rounded = round_sig(exact[left], digits)
        same = rounded.astype(np.float32) == exact[left]
        short[left[same]] = rounded[same]
        left = left[~same]
    listed: list[float] = short.tolist()
    return listed
