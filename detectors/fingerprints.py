"""Fingerprints of single rows, by which near copies from different clients meet without anybody comparing all pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from detectors.batch import EventBatch, IntArray
from detectors.contract import DetectorInfo, Params
from detectors.digest import digest_key, digests, mixed, seed_of
from detectors.exact import row_blocks
from detectors.finding import Attack
from detectors.meeting import RATES, fit_meeting
from detectors.parts import fit_least_equal, parts_of
from detectors.sampling import fair_rows
from detectors.scale import Scale

DIMS: Final = 12
#: Bands of positions; pictures have one more, of parts.
BANDS: Final = 2
#: Whole units in the largest radius; a cell is four of it wide. A smaller radius than so many units is not told apart.
UNITS: Final = 128
_CELL: Final = 4 * UNITS
_LEAST_UNITS: Final = 8
_FIT_ROWS: Final = 3000
_MOST: Final = 1 << 40

Projected = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True, eq=False)
class Prints:
    """Attributes:
    z: projected rows in whole units, modulo 2**16, int16 ``(n, DIMS)``; differences of near rows are exact.
    cells: keyed hash of the cell in each band, int64 ``(n, BANDS)``, odd in the band of parts: ``(n, BANDS + 1)``.
    digests: keyed hash of the bytes, int64 ``(n,)``.
    parts: of pictures, int16 ``(n, 8)``, two of ``detectors.parts`` each; else ``(n, 0)``.
    """

    z: Projected
    cells: IntArray
    digests: IntArray
    parts: Projected


@dataclass(frozen=True, slots=True)
class View:
    """No plausible clean row is within ``radius`` of a given row of another client (``differs``: with another answer)
    more often than ``rate``."""

    radius: float
    rate: float
    differs: bool


class Reach(NamedTuple):
    """Whole units below which rows are near, and below which those whose answers differ are; 0 for never. Parts in
    common from which on pictures are; 0 if there are no pictures."""

    units: int
    units_differing: int
    least_equal: int = 0


class Fingerprints:
    """Each row is projected to 12 sums with random signs (Achlioptas 2003), scaled so that distances are the root mean
    square difference per feature. Each half of the sums, shifted by a random offset, lies in a cell of a grid four
    radii wide (p-stable hashing: Datar et al. 2004): a *band*. Of two rows one radius apart 91 % share a cell, a
    quarter of a radius apart 99 %.

    Pictures meet in one more band, by two of their parts (``detectors.parts``), and are near there if they have more
    parts in common than any two clean ones: one picture shifted, or under stripes, though its distance is large.

    Radii and rates come from clean traffic, see ``detectors.meeting``. Signs, offsets and keys come from a seed
    that only the clean traffic gives, so that nobody can aim at a cell.
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "groups", "2", Attack.EVASION, "AML.T0043.001", "queries of many accounts that circle round one input"
    )

    def __init__(self, params: Params) -> None:
        """Raises KeyError, ValueError or TypeError for parameters that ``fit`` did not make."""
        self._scale = Scale(params)
        self._signs = params["signs"].astype(np.float64)
        self._key = params["digest_key"].astype(np.uint64)
        self._offsets = params["offsets"].astype(np.int64)
        self._mix = params["mix"].astype(np.uint64)
        self._parts = parts_of(params)
        #: Parts in common from which on pictures are near in every view; 0 if rows have none.
        self.least_equal = int(params["least_equal"])
        #: Bands in which each row is compared.
        self.bands = BANDS + (self._parts is not None)
        radii, rates = params["radii"].astype(np.float64), params["rates"].astype(np.float64)
        if (self._parts is None) != (self.least_equal == 0):
            raise ValueError("pictures, and nothing else, must have parts")
        if radii.shape != (2, len(rates)) or not (np.all(radii > 0) and np.all((rates > 0) & (rates < 1))):
            raise ValueError("radii and rates must be positive")
        #: Distance of one unit of ``Prints.z``, root mean square difference in standard units.
        self.unit = float(radii.max()) / UNITS
        #: What counts as near, the most generous first.
        self.views = tuple(
            View(float(radii[differs, r]), float(rates[r]), bool(differs))
            for r in np.argsort(-rates, kind="stable").tolist()
            for differs in (1, 0)
            if radii[differs, r] >= _LEAST_UNITS * self.unit
        )

    def reach(self) -> Reach:
        """Within which rows are near in some view."""
        radii = {differs: [v.radius for v in self.views if differs or not v.differs] for differs in (False, True)}
        near, differing = (int(np.ceil(max(radii[differs], default=0.0) / self.unit)) for differs in (False, True))
        return Reach(near, differing, self.least_equal)

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        seed, d = seed_of(clean), clean.x.shape[1]
        rng = np.random.default_rng([seed, 0x67726F7570])
        params = Scale.fit(clean) | {
            "signs": rng.choice(np.array([-1, 1], dtype=np.int8), size=(DIMS, d)),
            "offsets": rng.integers(0, _CELL, size=DIMS),
            "mix": rng.integers(0, 1 << 63, size=DIMS + BANDS, dtype=np.uint64) * np.uint64(2) + np.uint64(1),
            "digest_key": digest_key(seed ^ 0x67726F7570, d),
            "shape": np.array(clean.shape, dtype=np.int64),
            "least_equal": np.array(0),
        }
        some = clean.take(fair_rows(clean, _FIT_ROWS))
        z = _project(Scale(params), params["signs"].astype(np.float64), some.x)
        client = np.unique(np.array(some.clients), return_inverse=True)[1]
        copies = digests(some.x, params["digest_key"])
        params |= {"radii": np.stack(fit_meeting(z, copies, client, some.labels)), "rates": np.array(RATES)}
        if (parts := parts_of(params)) is not None:
            params["least_equal"] = np.array(fit_least_equal(parts.hashes(some.x), copies, client))
        return params

    def of(self, x: npt.NDArray[np.float32]) -> Prints:
        """Each row's, whatever the others are; ``x (n, d)``."""
        whole = np.floor(_project(self._scale, self._signs, x) / self.unit)
        units = np.clip(whole, -_MOST, _MOST).astype(np.int64)
        places = (np.floor_divide(units + self._offsets, _CELL)).astype(np.uint64)
        cells = np.empty((len(x), self.bands), dtype=np.uint64)
        half = DIMS // BANDS
        for band in range(BANDS):
            mine = slice(band * half, (band + 1) * half)
            cells[:, band] = mixed((places[:, mine] * self._mix[mine]).sum(axis=1) + self._mix[DIMS + band])
        cells[:, :BANDS] &= ~np.uint64(1)
        copies, parts = digests(x, self._key), np.empty((len(x), 0), dtype=np.int16)
        if self._parts is not None:
            hashes = self._parts.hashes(x)
            # One part of either direction; what lacks one is alone.
            pair = hashes[:, [0, -1]].astype(np.uint64) @ np.array([256, 1], dtype=np.uint64)
            pair = np.where((hashes[:, [0, -1]] == 0).any(axis=1), copies.view(np.uint64), pair)
            cells[:, BANDS] = mixed(pair + self._mix[0]) | np.uint64(1)
            parts = hashes.view(np.int16)
        return Prints((units & 0xFFFF).astype(np.uint16).view(np.int16), cells.view(np.int64), copies, parts)


def ranks(hashes: IntArray) -> npt.NDArray[np.uint64]:
    """Keyed hashes in an order that has nothing to do with what was hashed."""
    return mixed(hashes.view(np.uint64))


def _project(scale: Scale, signs: npt.NDArray[np.float64], x: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Sums with random signs, exact, ``(n, DIMS)``."""
    out = np.empty((len(x), DIMS))
    for block in row_blocks(len(x), x.shape[1]):
        out[block] = (scale(x[block]) @ signs.T) / np.sqrt(signs.size)
    return out
