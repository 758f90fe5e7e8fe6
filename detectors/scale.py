"""Standard units for model inputs of any kind."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.batch import EventBatch, FloatArray
from detectors.contract import Params
from detectors.exact import INPUT_LIMIT, INPUT_STEP
from detectors.kernels.measures import standardise
from detectors.sampling import fair_rows

_FIT_ROWS: Final = 20_000


class Scale:
    """``z = (x - median) / scale`` on an exact grid (``detectors.exact``); a missing value counts as the median.

    Pictures (two or more axes) have one scale, the root mean square of the features' deviations, because a pixel that
    never varied is still measured in brightness. Tabular features have one each: the interquartile range / 1.349,
    else the standard deviation, else 1.
    """

    def __init__(self, params: Params, centre: FloatArray | float = 0.0) -> None:
        """``centre``, on the grid, is taken off ``z``."""
        self._median = params["median"].astype(np.float64)
        self._scale = params["scale"].astype(np.float64)
        self._centre = np.ascontiguousarray(np.broadcast_to(np.float64(centre), self._median.shape))

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        return cls.of(clean.x[fair_rows(clean, _FIT_ROWS)], clean.shape)

    @staticmethod
    def of(rows: npt.NDArray[np.float32], shape: tuple[int, ...]) -> Params:
        """Medians and scales of ``rows (n, d)`` of inputs of that shape."""
        x = rows.astype(np.float64)
        seen = ~np.isnan(x).all(axis=0)
        median, iqr, sd = np.zeros(x.shape[1]), np.zeros(x.shape[1]), np.zeros(x.shape[1])
        if seen.any():
            low, median[seen], high = np.nanquantile(x[:, seen], [0.25, 0.5, 0.75], axis=0)
            iqr[seen] = (high - low) / 1.349
            sd[seen] = np.nanstd(x[:, seen], axis=0)
        if len(shape) > 1:
            whole = float(np.sqrt(np.mean(sd**2)))
            scale = np.full(x.shape[1], whole if whole > 0 else 1.0)
        else:
            scale = np.where(iqr > 0, iqr, np.where(sd > 0, sd, 1.0))
        return {"median": median, "scale": scale}

    def __call__(self, x: npt.NDArray[np.float32]) -> FloatArray:
        z = np.empty(x.shape)
        standardise(np.ascontiguousarray(x), self._median, self._scale, self._centre, INPUT_LIMIT, 1.0 / INPUT_STEP, z)
        return z
