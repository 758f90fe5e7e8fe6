"""Log odds that an input was made rather than measured: what the detectors of synthetic inputs have in common."""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.batch import EventBatch, FloatArray, IntArray, round_sig
from detectors.contract import Params
from detectors.counterfeits import counterfeits
from detectors.digest import params_digest, seed_of
from detectors.fit_once import fit_once
from detectors.kernels.measures import value_shares
from detectors.regions import Regions
from detectors.residue import Residue
from detectors.rows import Inputs, Rows
from detectors.sampling import fair_rows
from detectors.scale import Scale
from detectors.trees import Trees

_FIT_ROWS: Final = 6000
#: Made rows of each kind, in shares of the clean ones.
_EACH: Final = 0.4
#: Up to so many features are looked at one by one, too.
_NARROW: Final = 64
#: Equal parts of the clean range in which the values of wider rows are counted.
_PARTS: Final = 16
#: Share of clean pictures whose noise is no stronger than what is still looked at.
_QUIET: Final = 0.998
#: Parameters that the odds depend on.
_USED: Final = ("median", "scale", "mean", "weights", "variance", "value_range", "tree_value", "tree_threshold")


class Made(Regions):
    """Boosted trees that tell made rows (``detectors.counterfeits``) from clean ones; see ``detectors.synthetic``."""

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self._residue = Residue(params)
        self._scale = Scale(params)
        self._trees = Trees(params)
        self._range = params["value_range"].astype(np.float64)
        self._loudest = float(params["loudest_noise"])
        self._odds_key = b"odds " + params_digest({name: params[name] for name in _USED})

    @staticmethod
    @fit_once
    def fit_made(clean: EventBatch) -> Params:
        params = Regions.with_planes(Residue.fit(clean), clean)
        some = fair_rows(clean, _FIT_ROWS)
        real = np.where(np.isfinite(clean.x[some]), clean.x[some], params["median"]).astype(np.float32)
        rng = np.random.default_rng(seed_of(clean))
        made = counterfeits(real, clean.labels[some], max(int(_EACH * len(real)), 10), rng)
        regions, residue, scale = Regions(params), Residue(params), Scale(params)
        both = np.concatenate([real, made])
        measured = residue(both, clean.shape)
        params |= {"value_range": np.array([real.min(), real.max()])}
        x = _features(regions.locate(both)["white"], measured["residue"], scale, params["value_range"], both)
        params |= Trees.fit(x, np.arange(len(x)) >= len(real), seed_of(clean))
        noise = measured[: len(real)][measured["noise"][: len(real)]]["residue"]
        pictures = residue.usual_roughness > 0 and len(noise) > 0
        return params | {"loudest_noise": round_sig(np.array(np.quantile(noise, _QUIET) if pictures else np.inf))}

    def quiet(self, rows: Rows, wanted: IntArray) -> IntArray:
        """Those of the wanted rows that are no pictures under strong noise."""
        measured = self._residue.of(rows, wanted)
        return wanted[~(measured["noise"] & (round_sig(measured["residue"]) > self._loudest))]

    def odds(self, rows: Rows, wanted: IntArray) -> FloatArray:
        """Log odds of the wanted rows, each worked out once for all detectors with the same trees."""
        known = rows.noted(self._odds_key, lambda: np.full(len(rows), np.nan))
        missing = wanted[np.isnan(known[wanted])]
        if len(missing):
            white = self.located(rows)["white"][missing]
            residue = self._residue.of(rows, missing)["residue"]
            known[missing] = self._trees(_features(white, residue, self._scale, self._range, rows.batch.x[missing]))
        return np.asarray(known[wanted])


def _features(white: FloatArray, residue: FloatArray, scale: Scale, span: FloatArray, x: Inputs) -> FloatArray:
    """What the trees see of rows, ``(n, f)``; sums are rounded, so that their last bit does not choose the side."""
    sums = round_sig(np.stack([np.mean(white**2, axis=1), residue], axis=1))
    if x.shape[1] <= _NARROW:
        return np.concatenate([white, sums, scale(x)], axis=1)
    shares = np.empty((len(x), _PARTS + 2))
    value_shares(x, span[0], span[1], shares)
    return np.concatenate([white, sums, shares], axis=1)
