"""From the rows of a training set to its sketch."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from detectors.batch import FloatArray, round_sig
from detectors.contract import Params
from detectors.record_bands import BANDS, DIMS, PER_BAND, RecordBands
from detectors.rows import Inputs
from detectors.scale import Scale
from detectors.training_sketch import SketchError, TrainingSketch

LEAST_ROWS: Final = 50
#: So many rows have 2**32 / 2**10 distinct tags a band at most.
MOST_ROWS: Final = 1 << 22
LEAST_SALT: Final = 16
_TAG_BITS: Final = 32
#: A row unlike all records agrees with one in a given band by chance at most once in 2**10.
_SPARE_BITS: Final = 10
_FIT_ROWS: Final = 20_000
_FIT_NUMBERS: Final = 1 << 25
_NEIGHBOURS: Final = 50_000
_PROBES: Final = 1000
_BLOCK_NUMBERS: Final = 1 << 22
_APART_QUANTILE: Final = 0.05
#: Width of a cell in distances of records to their nearest ones, and its least: less than so much of a feature's
#: spread is rounding, and not another record.
_CELL: Final = 2.0
_LEAST_WIDTH: Final = 2.0**-4
#: Cells are made narrower until no more of the records share one with another record, in a given band.
_MOST_SHARED: Final = 0.02
_NARROWER: Final = 0.85

Table = npt.NDArray[Any]


def sketch_rows(
    x: Table,
    salt: bytes,
    shape: tuple[int, ...] = (),
    *,
    progress: Callable[[int], object] = lambda _rows: None,
    block_numbers: int = _BLOCK_NUMBERS,
) -> TrainingSketch:
    """The sketch of rows ``x (n, ...)``, in any numeric type, as the model gets them; NaN is a missing value.

    ``x`` is read in blocks, so it may be a memory map of more than fits into memory. The width of a cell is twice the
    5 % quantile of the distance of a record to its nearest different one (of up to 50,000 and 1,000 records), or
    narrower: in a given band at most 2 % of the records may share a cell with another one. Fingerprints are cut
    down to log2(n) + 10 bits: that is enough to know a record by 2 of 8 bands, and of cells that no record is in one in
    1,024 seems taken all the same.

    Args:
        salt: at least 16 bytes that nobody else knows; the same rows and salt give the same sketch.
        shape: of one row, if ``x`` has it not: ``(28, 28)`` for rows of 784.
        progress: called with the number of rows done since the last call.
        block_numbers: numbers read at a time; changes nothing.

    Raises SketchError for too few or too many rows, other than numbers, infinite values, a short salt or another shape.
    """
    shape = _checked(x, salt, shape)
    rows, d = len(x), math.prod(shape)
    some = _evenly(rows, min(_FIT_ROWS, max(_FIT_NUMBERS // d, 200)))
    params = _keys(salt, d) | _coarse(Scale.of(_inputs(x, some), shape))
    params |= {"begins": np.zeros(BANDS + 1, dtype=np.int64), "tags": np.empty(0, dtype=np.uint32)}
    params |= {"width": np.array(1.0), "bits": np.array(_TAG_BITS)}
    params["width"] = np.array(_cell_width(x, params))
    bands = RecordBands(params)
    tags = np.empty((rows, BANDS), dtype=np.uint32)
    step = max(block_numbers // d, 1)
    for start in range(0, rows, step):
        some = np.arange(start, min(start + step, rows))
        tags[some] = bands.of(_inputs(x, some))[0]
        progress(len(some))
    bits = min(_TAG_BITS, math.ceil(math.log2(rows)) + _SPARE_BITS)
    distinct = [np.unique(tags[:, band] >> np.uint32(_TAG_BITS - bits)) for band in range(BANDS)]
    params["begins"] = np.cumsum([0, *map(len, distinct)]).astype(np.int64)
    params["tags"], params["bits"] = np.concatenate(distinct), np.array(bits)
    return TrainingSketch(shape, rows, params)


def _checked(x: Table, salt: bytes, shape: tuple[int, ...]) -> tuple[int, ...]:
    if x.ndim < 2 or 0 in x.shape:
        raise SketchError(f"an array of shape {x.shape} is no table of rows: the first axis is the rows")
    if x.dtype.kind not in "fiub":
        raise SketchError(f"values of type {x.dtype} are no numbers")
    if not LEAST_ROWS <= len(x) <= MOST_ROWS:
        raise SketchError(f"{len(x)} rows; a sketch takes {LEAST_ROWS} to {MOST_ROWS}")
    if len(salt) < LEAST_SALT:
        raise SketchError(f"the salt has {len(salt)} bytes; at least {LEAST_SALT} are needed")
    shape = shape or x.shape[1:]
    if min(shape) < 1 or math.prod(shape) != math.prod(x.shape[1:]):
        raise SketchError(f"rows of shape {x.shape[1:]} are no rows of shape {shape}")
    return shape


def _keys(salt: bytes, d: int) -> Params:
    """The random numbers that the salt stands for."""
    seed = hashlib.blake2b(salt, digest_size=32, person=b"vedette sketch").digest()
    rng = np.random.default_rng(int.from_bytes(seed, "little"))
    return {
        "signs": rng.choice(np.array([-1, 1], dtype=np.int8), size=(DIMS, d)),
        "members": np.stack([rng.permutation(DIMS)[:PER_BAND] for _ in range(BANDS)]).astype(np.int64),
        "offsets": rng.random((BANDS, PER_BAND)),
        "mix": rng.integers(0, 1 << 63, size=(BANDS, PER_BAND + 1), dtype=np.uint64) * np.uint64(2) + np.uint64(1),
    }


def _coarse(units: Params) -> Params:
    """Medians to a sixteenth of their scale, scales to two digits: an exact median is some record's value."""
    scale = round_sig(units["scale"], 2)
    return {"median": np.round(units["median"] / scale * 16.0) / 16.0 * scale, "scale": scale}


def _cell_width(x: Table, keys: Params) -> float:
    bands, step = RecordBands(keys), max(_BLOCK_NUMBERS // math.prod(x.shape[1:]), 1)
    others = _evenly(len(x), _NEIGHBOURS)
    z = np.concatenate([bands.sums(_inputs(x, others[a : a + step])) for a in range(0, len(others), step)])
    z = np.unique(z, axis=0)
    nearest = np.full(len(probes := z[_evenly(len(z), _PROBES)]), np.inf)
    for start in range(0, len(z), _PROBES):
        distances = cdist(probes, z[start : start + _PROBES]) / math.sqrt(DIMS)
        nearest = np.minimum(nearest, np.where(distances > 0, distances, np.inf).min(axis=1))
    nearest = nearest[np.isfinite(nearest)]
    width = _CELL * float(np.quantile(nearest, _APART_QUANTILE)) if len(nearest) else _LEAST_WIDTH
    while width > _LEAST_WIDTH and _shared(z, width, keys) * len(x) / len(others) > _MOST_SHARED:
        width *= _NARROWER
    return float(round_sig(np.array([max(width, _LEAST_WIDTH)]))[0])


def _shared(z: FloatArray, width: float, keys: Params) -> float:
    """Share of different records that share a band's cell with another one."""
    tags = RecordBands(keys | {"width": np.array(width)}).of_sums(z)[0]
    alone = [np.count_nonzero(np.unique(tags[:, band], return_counts=True)[1] == 1) for band in range(BANDS)]
    return 1.0 - sum(alone) / tags.size


def _evenly(rows: int, most: int) -> npt.NDArray[np.int64]:
    """At most ``most`` of so many rows, evenly spaced."""
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).astype(np.int64))


def _inputs(x: Table, rows: npt.NDArray[np.int64]) -> Inputs:
    """The rows as the monitor gets them, flat."""
    whole = len(rows) == rows[-1] - rows[0] + 1
    part = x[rows[0] : rows[-1] + 1] if whole else x[rows]  # a slice of a memory map is not copied twice
    with np.errstate(over="ignore"):
        flat = np.asarray(part).reshape(len(rows), -1).astype(np.float32)
    infinite = np.isinf(flat).any(axis=1)
    if infinite.any():
        raise SketchError(f"row {rows[infinite][0]} holds an infinite value, or one too large for float32")
    return flat
