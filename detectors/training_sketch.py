"""A training set as a sketch: salted fingerprints by which its records are known again, and none of its rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from detectors import baseline_file
from detectors.baseline_file import Arrays, BaselineError
from detectors.batch import EventBatch
from detectors.contract import Params
from detectors.record_bands import BANDS, RecordBands
from detectors.sampling import fair_rows

_KIND: Final = baseline_file.Kind(b"VEDETTES", "training sketch", "make it again")
_SECTION: Final = ("", "sketch", "", "")
_SAMPLE_ROWS: Final = 2000
#: If more clean requests are training records, asking about them tells nobody from an honest client.
MOST_COMMON: Final = 0.2


class SketchError(ValueError):
    """A file that is no sound sketch, or rows that none can be made of; the message says what is wrong."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSketch:
    """What is kept of a training set.

    Attributes:
        shape: of one row, as the model's requests have it.
        rows: how many rows it was made of.
        params: of ``detectors.membership_hits``: median and scale of each feature, the salt's random numbers
            (``signs``, ``members``, ``offsets``, ``mix``), ``width`` of a cell, and the distinct fingerprints of each
            band, cut down to ``bits`` and sorted (``tags``, ``begins``).
    """

    shape: tuple[int, ...]
    rows: int
    params: Params

    @property
    def false_match(self) -> float:
        """Chance that a row unlike all records agrees with one in a given band because a hash was cut short."""
        return float(np.diff(self.params["begins"]).max()) / 2.0 ** int(self.params["bits"])

    def spread_ratio(self, clean: EventBatch) -> float:
        """How many times as widely clean requests spread as the training set, median over features; NaN if none varies.

        Far from 1 if the two are not in the same units, as pixels from 0 to 255 and from 0 to 1.
        """
        x = clean.x[fair_rows(clean, _SAMPLE_ROWS)].astype(np.float64)
        some = x[:, ~np.isnan(x).all(axis=0)]
        spread = np.nanstd(some, axis=0) / self.params["scale"][~np.isnan(x).all(axis=0)]
        return float(np.median(spread[spread > 0])) if np.any(spread > 0) else math.nan

    def hit_share(self, clean: EventBatch) -> float:
        """Share of clean requests that agree with training records in half of the bands or more."""
        bands = RecordBands(self.params)
        return float(np.mean(bands.agreeing(bands.of(clean.x[fair_rows(clean, _SAMPLE_ROWS)])[0]) >= BANDS / 2))

    def save(self, path: Path) -> None:
        """Write the file whole or not at all; only its owner may read it. Raises OSError."""
        baseline_file.write(path, self.encoded(), 0o600)

    def encoded(self) -> bytes:
        """The file: the same rows and salt give the same bytes."""
        arrays: Arrays = {(*_SECTION[:3], name): value for name, value in self.params.items()}
        return baseline_file.encode(_Meta(self.shape, self.rows), arrays, _KIND)

    @classmethod
    def load(cls, path: Path) -> TrainingSketch:
        """Raises SketchError, saying what is wrong, for a file that is no sound sketch; OSError if unreadable."""
        if path.stat().st_size > baseline_file.MAX_BYTES:
            raise SketchError(f"{path}: larger than a training sketch can be")
        try:
            meta, arrays = baseline_file.decode(path.read_bytes(), _Meta, _KIND)
            params = {key[3]: value for key, value in arrays.items()}
            RecordBands(params)
        except BaselineError as error:
            raise SketchError(f"{path}: {error}") from None
        except (LookupError, TypeError, ValueError) as error:
            raise SketchError(f"{path}: the sketch's arrays make no sense ({error!r})") from None
        if min(meta.shape, default=0) < 1 or math.prod(meta.shape) != len(params["median"]) or meta.rows < 1:
            raise SketchError(f"{path}: the sketch's facts make no sense")
        return cls(meta.shape, meta.rows, params)


class _Meta(msgspec.Struct, frozen=True):
    shape: tuple[int, ...]
    rows: int
