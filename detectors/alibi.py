"""Any alibi-detect 0.11.4 detector as a window detector: it sees a window's sample, never its stream.

alibi-detect's own thresholds and p-value levels are not used: traffic is autocorrelated, so what a score means is
learned from clean windows (``detectors.window_alarm.calibrate_windows``), as for every window detector.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from detectors.alibi_loading import Float32Array, Option, load, make
from detectors.batch import EventBatch, FloatArray, round_sig
from detectors.contract import DetectorInfo, Params, Summary
from detectors.digest import secret_of
from detectors.finding import Attack

#: Rows of clean traffic given to a detector that is made by name.
_REFERENCE_ROWS: Final = 2000
#: alibi-detect computes p-values in float32; smaller ones are 0 there.
_LEAST_P: Final = 1e-45
_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class AlibiSpec:
    """Which detector: a saved one (``path``) or one made by class ``name`` with ``options`` from clean rows."""

    path: str = ""
    name: str = ""
    options: Mapping[str, Option] = field(default_factory=dict)
    min_rows: int = 50


class AlibiWindow:
    """One configured alibi-detect detector; ``build_alibi`` makes a class of it per configuration.

    Score: for drift tests with p-values p_f per feature

        (sqrt(max_f -ln p_f) + sqrt(mean_f -ln p_f)) / 2,

    the strongest feature (Bonferroni's view) and all of them (Fisher's), each growing like a scaled distance, so that
    limits can be extrapolated. Single p-values run into the end of their precision (1e-45; 1e-8 for Cramér-von Mises)
    on alike rows; their mean still tells windows apart there. For outlier detectors: the mean instance score. The
    detector is copied before each window: those that learn as they score (Mahalanobis, ``update_x_ref``) start from
    their saved or fitted state each time, so traffic cannot teach them.

    Missing values are replaced by the clean median of their feature, since alibi-detect takes none.
    """

    info: ClassVar[DetectorInfo]
    costly: ClassVar[bool] = True
    spec: ClassVar[AlibiSpec]

    def __init__(self, params: Params) -> None:
        self._p = params
        self._salt = params["salt"].tobytes()
        if self.spec.path:
            self._detector = load(Path(self.spec.path))
        else:
            self._detector = make(self.spec.name, params["reference"], self.spec.options)

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        """Reference rows, medians for missing values, and the salt of the sample's hashes.

        Raises:
            ValueError: no clean rows.
        """
        if not len(clean):
            raise ValueError(f"{clean.model}: no clean rows")
        missing = np.isnan(clean.x).all(axis=0)
        fill = np.zeros(clean.x.shape[1], dtype=np.float32)
        fill[~missing] = np.nanmedian(clean.x[:, ~missing], axis=0)
        rows = np.unique(np.linspace(0, len(clean) - 1, _REFERENCE_ROWS).astype(np.int64))
        return {
            "reference": _filled(clean.x[rows], fill),
            "fill": fill,
            "salt": np.frombuffer(secret_of(clean), dtype=np.uint8),
        }

    def summarise(self, batch: EventBatch) -> Summary:
        """All rows as the sample, in the order of a salted hash of id and values; merging keeps the first of them.

        Rows whose width is not the reference's are left out.
        """
        if batch.x.shape[1] != len(self._p["fill"]):
            batch = batch.take(np.empty(0, dtype=np.int64))
            return Summary(0, {}, sample_x=np.empty((0, len(self._p["fill"])), np.float32))
        hashes = _row_hashes(batch, self._salt)
        order = np.argsort(hashes, kind="stable")
        return Summary(count=len(batch), counts={}, sample_hash=hashes[order], sample_x=batch.x[order])

    def score(self, summary: Summary) -> float:
        """Suspicion; NaN below ``min_rows`` sampled rows."""
        if len(summary.sample_x) < self.spec.min_rows:
            return float("nan")
        p_values, _, instance_scores = self._judge(summary)
        if p_values is None:
            return float(round_sig(np.mean(instance_scores, keepdims=True))[0])
        strength = -np.log(np.clip(p_values, _LEAST_P, 1.0))
        both = np.sqrt(strength.max(keepdims=True)) + np.sqrt(strength.mean(keepdims=True))
        return float(round_sig(both / 2.0)[0])

    def explain(self, summary: Summary) -> dict[str, Any]:
        """The test's own figures: smallest p-values and distances by feature, or the spread of instance scores."""
        if len(summary.sample_x) < self.spec.min_rows:
            return {"alibi": self.info.name, "sampled_rows": len(summary.sample_x)}
        p_values, distances, instance_scores = self._judge(summary)
        figures: dict[str, Any] = {"alibi": self.info.name, "sampled_rows": len(summary.sample_x)}
        if p_values is None:
            spread = np.quantile(instance_scores, [0.5, 0.9])
            return figures | {"instance_score_median": _figure(spread[0]), "instance_score_p90": _figure(spread[1])}
        order = np.argsort(p_values, kind="stable")[:_NAMED]
        return figures | {
            "features": [
                {"feature": int(f), "p": _figure(p_values[f])}
                | ({"distance": _figure(distances[f])} if len(distances) == len(p_values) else {})
                for f in order
            ]
        }

    def _judge(self, summary: Summary) -> tuple[FloatArray | None, FloatArray, FloatArray]:
        """P-values and distances per feature, or None and instance scores."""
        detector = copy.deepcopy(self._detector)
        x = self._shaped(_filled(summary.sample_x, self._p["fill"]))
        nothing = np.empty(0)
        if detector.meta.get("detector_type") == "outlier":
            return None, nothing, np.asarray(detector.score(x), dtype=np.float64)
        data = detector.predict(x)["data"]
        p_values = np.atleast_1d(np.asarray(data["p_val"], dtype=np.float64))
        distances = np.atleast_1d(np.asarray(data.get("distance", nothing), dtype=np.float64))
        return p_values, distances, nothing

    def _shaped(self, x: Float32Array) -> Float32Array:
        """Rows in the shape of the detector's own reference, where it has one of as many values."""
        reference = getattr(self._detector, "x_ref", None)
        shape = () if reference is None else np.shape(reference)[1:]
        return x.reshape(len(x), *shape) if shape and int(np.prod(shape)) == x.shape[1] else x


def build_alibi(
    *, path: str = "", name: str = "", options: Mapping[str, Option] | None = None, min_rows: int = 50
) -> type[AlibiWindow]:
    """A window detector class for one entry of ``detection.alibi``; nothing of alibi-detect is imported yet.

    Made and calibrated like any other: ``cls.fit(clean)``, ``cls(params)``. Making one raises
    ``AlibiUnavailableError``, ``PermissionError`` or ``ValueError`` as ``detectors.alibi_loading`` says.

    Raises:
        ValueError: neither or both of ``path`` and ``name``.
    """
    if bool(path) == bool(name):
        raise ValueError("an alibi-detect detector needs either a path or a class name")
    label = name or Path(path).name
    if options:  # the same class may be configured twice
        label += f"-{hashlib.blake2b(repr(sorted(options.items())).encode(), digest_size=2).hexdigest()}"
    info = DetectorInfo(
        name=f"alibi:{label}", version="0.11.4", attack=Attack.SHIFT, technique="", title=f"alibi-detect {label}"
    )
    return type("AlibiWindow", (AlibiWindow,), {"info": info, "spec": AlibiSpec(path, name, options or {}, min_rows)})


def _filled(x: Float32Array, fill: Float32Array) -> Float32Array:
    return np.where(np.isnan(x), fill, x)


def _row_hashes(batch: EventBatch, salt: bytes) -> npt.NDArray[np.uint64]:
    """Hash of id and values: rows of one request differ, and without the salt no client can choose a low one."""
    hashes = [
        hashlib.blake2b(i.encode("utf-8", "surrogatepass") + row.tobytes(), digest_size=8, key=salt).digest()
        for i, row in zip(batch.ids, batch.x, strict=True)
    ]
    return np.frombuffer(b"".join(hashes), dtype="<u8").astype(np.uint64)


def _figure(value: float) -> float:
    return float(f"{value:.4g}")
