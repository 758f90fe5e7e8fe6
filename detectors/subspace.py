"""Principal directions of clean traffic: where an input lies among clean ones, and how much of it lies beside them."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.batch import EventBatch, FloatArray
from detectors.contract import Params
from detectors.exact import grid_inputs, grid_weights
from detectors.sampling import fair_rows
from detectors.scale import Scale

#: Most leading directions, and most directions in all.
MAX_LEADING: Final = 24
MAX_DIRECTIONS: Final = 128
#: Rows the directions are fitted on; more sharpen them little.
_FIT_ROWS: Final = 4000
#: Inputs are clipped to this many scales while fitting: a single wild value must not choose the directions.
_FIT_CLIP: Final = 8.0
#: Least variance of a direction, in shares of the mean variance per feature.
_FLOOR: Final = 0.01


class Subspace:
    """Principal directions (Pearson 1901) of standardised clean inputs ``z`` about their mean ``m``.

    Attributes:
        centred: gives ``z - m`` of inputs, ``(n, d)``.
        leading: how many of the first directions hold 90 % of the variance, at most 24 and half of the features.
        variance: of each direction, ``(q,)``, at least 1 % of the mean variance per feature.
        beyond: how many directions there are past the q known ones; ``beyond_variance``: their mean, floored likewise.
    """

    #: Names of its parameters.
    PARAMS: Final = ("median", "scale", "mean", "weights", "variance", "leading", "beyond_variance")

    def __init__(self, params: Params) -> None:
        self.centred: Final = Scale(params, params["mean"].astype(np.float64))
        self._weights = params["weights"].astype(np.float64)
        self.leading = int(params["leading"])
        self.variance = params["variance"].astype(np.float64)
        self.beyond = self._weights.shape[1] - len(self._weights)
        self.beyond_variance = float(params["beyond_variance"])

    @classmethod
    def fit(cls, clean: EventBatch, share: float = 0.9, leading_only: bool = True) -> Params:
        """Parameters; with ``leading_only`` the minor directions are not kept."""
        params = Scale.fit(clean)
        z = np.clip(Scale(params)(clean.x[fair_rows(clean, _FIT_ROWS)]), -_FIT_CLIP, _FIT_CLIP)
        n, d = z.shape
        mean = grid_inputs(z.mean(axis=0))
        _, singular, axes = np.linalg.svd(z - mean, full_matrices=False)
        variance = singular**2 / max(n - 1, 1)
        total = float(variance.sum())
        floor = _FLOOR * total / d if total > 0 else 1.0
        held = np.cumsum(variance) / total if total > 0 else np.ones(len(variance))
        leading = min(int(np.searchsorted(held, share)) + 1, MAX_LEADING, max(d // 2, 1), len(axes))
        kept = leading if leading_only else min(MAX_DIRECTIONS, len(axes))
        beyond = float(variance[kept:].sum()) / max(d - kept, 1)
        return params | {
            "mean": mean,
            "weights": grid_weights(np.clip(axes[:kept], -1.0, 1.0)),
            "variance": np.maximum(variance[:kept], floor),
            "leading": np.array(leading),
            "beyond_variance": np.array(max(beyond, floor)),
        }

    def coefficients(self, centred: FloatArray) -> FloatArray:
        """Along each direction, ``(n, q)``; exact, whatever the number of rows."""
        return np.asarray(centred @ self._weights.T)

    def leading_coefficients(self, x: npt.NDArray[np.float32]) -> FloatArray:
        """Along the leading directions only, ``(n, leading)``."""
        return np.asarray(self.centred(x) @ self._weights[: self.leading].T)

    def outside(self, centred: FloatArray, coefficients: FloatArray) -> FloatArray:
        """What the leading directions do not explain, ``(n, d)``."""
        q = self.leading
        return np.asarray(centred - coefficients[:, :q] @ self._weights[:q])
