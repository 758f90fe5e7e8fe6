"""Model extraction: inputs that were made, one by one within the range of clean ones, and together unlike them."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np

from detectors.batch import EventBatch, FloatArray, IntArray, round_sig
from detectors.contract import DetectorInfo, Params
from detectors.counterfeits import counterfeits
from detectors.digest import params_digest, seed_of
from detectors.exact import figure
from detectors.finding import Attack
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


class Synthetic(Regions):
    """A thief with few examples makes more: mixes them, draws from a model of them, moves them along the copy's
    gradient, or draws each feature by itself. Such rows lie within the clean range, where distances (``coverage``) are
    usual. But whoever has clean traffic can make them too, and learn to tell (outlier exposure: Hendrycks, Mazeika,
    Dietterich 2019, arXiv 1812.04606):

        s = log odds of boosted trees (``detectors.trees``) that the row is one of ``detectors.counterfeits``

    of its leading coefficients in standard deviations, their mean square, its residue (``detectors.residue``), and, up
    to 64 features, its standardised features; beyond, how its values are spread over the clean range: a mixture of two
    pictures has greys that no picture has. The trees see clean rows as one class and made ones as the other; clients
    that they have not seen set the lines. Only rows in a place new to their client have an opinion
    (``detectors.regions``).

    An adversarial example is made, too, by the very step that augments a thief's examples. There is no opinion on
    pictures under noise stronger than 998 in 1000 clean ones have: what they are is for ``noise_residue`` to say.
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        "synthetic", "2", Attack.EXTRACTION, "AML.T0024.002", "inputs that were made rather than measured"
    )
    #: Smallest difference in score that means anything: odds a quarter higher.
    resolution: ClassVar[float] = 0.25

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self._residue = Residue(params)
        self._scale = Scale(params)
        self._trees = Trees(params)
        self._range = params["value_range"].astype(np.float64)
        self._loudest = float(params["loudest_noise"])
        self._odds_key = b"odds " + params_digest({name: params[name] for name in _USED})

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        return cls.fit_made(clean)

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

    def score(self, rows: Rows) -> FloatArray:
        quiet = self.quiet(rows, self.entering(rows))
        out = np.full(len(rows), np.nan)
        out[quiet] = self.odds(rows, quiet)
        return out

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        return {"log_odds": figure(float(self.odds(rows, np.array([row]))[0]))}

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
