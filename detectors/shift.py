"""Distribution shift of one model's traffic: a window's features, labels and confidence against clean traffic's."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np

from detectors.batch import BoolArray, EventBatch, FloatArray, round_sig
from detectors.clusters import concentration
from detectors.contract import DetectorInfo, Params, Summary
from detectors.finding import Attack
from detectors.shift_counts import count, fit_clustering, fit_grid
from detectors.shift_moves import Moves, compare

#: Parts of the score, in the order of ``Moves.parts``.
PARTS: Final = ("largest_feature", "all_features", "labels", "confidence")
#: Fewest rows a window needs for a score.
MIN_ROWS: Final = 30
#: Rows of clean traffic that are looked at; more add nothing to 32 quantiles.
_MAX_ROWS: Final = 10_000
#: Rows of those that clean blocks are cut from.
_BLOCK_ROWS: Final = 4000
#: Random halvings of the clients, blocks per half, most rows of a block; with fewer clients, halves of the time.
_SPLITS: Final = 4
_BLOCKS: Final = 20
_MAX_BLOCK: Final = 1000
_FEWEST_CLIENTS: Final = 4
#: Floor of a part's standard deviation, that of Kolmogorov's distribution: what never moved must not become touchy.
_FLOOR: Final = 0.26
#: Features, and labels, that an explanation names.
_NAMED: Final = 5


class ShiftDetector:
    """Largest standardised distance between a window and clean traffic.

    For feature f, edges e, shares above them a (window) and r (reference), shares missing m and m0:

        D_f = max(s max_e |a_fe - r_fe|, s |m_f - m0_f|),    s = 1 / sqrt(1/n_eff + 1/n_eff_reference)

    a two-sample Kolmogorov-Smirnov distance on binned CDFs, ties exact, in units of its sampling error given how alike
    the rows of one client are (``detectors.clusters``). Four parts: max_f D_f; the root mean square of the D_f, which
    sees a slight move of everything; the total variation of the label shares; and the KS distance of the confidence
    (largest class probability). Each is standardised by its mean and standard deviation over clean blocks that their
    reference had not seen:

        score = max_i (part_i - mean_i) / sd_i,    NaN below ``MIN_ROWS`` rows.

    Traffic is autocorrelated, so no p-value is claimed: limits come from clean windows (``detectors.window_alarm``).
    No ATLAS technique describes a shift; ``technique`` is empty.
    """

    info: ClassVar[DetectorInfo] = DetectorInfo(
        name="shift", version="1", attack=Attack.SHIFT, technique="", title="Inputs or outputs unlike clean traffic"
    )

    costly: ClassVar[bool] = False

    def __init__(self, params: Params) -> None:
        self._p = params
        counts = {name[4:]: values for name, values in params.items() if name.startswith("ref_")}
        self._reference = Summary(count=int(params["rows"]), counts=counts)

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        """Grid, reference counts, intra-class correlations, and the parts' means and deviations on clean blocks.

        Raises:
            ValueError: fewer than ``2 * MIN_ROWS`` rows.
        """
        if len(clean) < 2 * MIN_ROWS:
            raise ValueError(f"{clean.model}: {len(clean)} clean rows; the shift detector needs {2 * MIN_ROWS}")
        clean = _thinned(clean, _MAX_ROWS)
        grid = fit_grid(clean)
        fitted = grid | fit_clustering(grid, clean)
        parts = np.array(_clean_parts(fitted, _thinned(clean, _BLOCK_ROWS)))
        mean, deviation = parts.mean(axis=0), np.maximum(parts.std(axis=0, ddof=1), _FLOOR)
        reference = count(fitted, clean)
        counts = {f"ref_{name}": values for name, values in reference.counts.items()}
        return fitted | counts | {"rows": np.asarray(reference.count), "mean": mean, "deviation": deviation}

    def summarise(self, batch: EventBatch) -> Summary:
        """Counts of ``detectors.shift_counts.count``."""
        return count(self._p, batch)

    def score(self, summary: Summary) -> float:
        """Standardised distance; 0 is an ordinary clean window, larger is further off; NaN = too few rows."""
        if summary.count < MIN_ROWS * summary.spread:
            return float("nan")
        return float(round_sig(self._standardised(self._moves(summary)).max(keepdims=True))[0])

    def explain(self, summary: Summary) -> dict[str, Any]:
        """Parts, features that moved most, label shares and confidence before and after.

        ``label_distance`` is the total variation of label shares; ``clients_effective`` the number of equally busy
        clients that would concentrate traffic as much.
        """
        moves = self._moves(summary)
        figures = self._standardised(moves)
        return {
            "parts": {name: _figure(v) for name, v in zip(PARTS, figures.tolist(), strict=True)},
            "features": [self._feature(moves, f) for f in _largest(moves.features)],
            "labels": self._labels(summary, moves),
            "label_distance": _figure(moves.label_distance),
            "confidence": self._confidence(summary),
            "clients_effective": _figure(1.0 / concentration(summary.counts["clients"])),
        }

    def _moves(self, summary: Summary) -> Moves:
        return compare(self._p, self._reference, summary)

    def _standardised(self, moves: Moves) -> FloatArray:
        return np.asarray((moves.parts - self._p["mean"]) / self._p["deviation"], dtype=np.float64)

    def _feature(self, moves: Moves, f: int) -> dict[str, Any]:
        edge = int(np.abs(moves.shares[:, f]).argmax())
        move = float(moves.shares[edge, f])
        if abs(moves.missing[f]) > abs(move):
            direction = "more missing" if moves.missing[f] > 0 else "fewer missing"
            return {"feature": f, "distance": _figure(abs(moves.missing[f])), "direction": direction}
        return {"feature": f, "distance": _figure(abs(move)), "direction": "up" if move > 0 else "down"}

    def _labels(self, summary: Summary, moves: Moves) -> list[dict[str, Any]]:
        before, after = (s.counts["labels"] / max(s.counts["labels"].sum(), 1) for s in (self._reference, summary))
        names = [*(str(v) for v in self._p["label_values"].tolist()), "other"]
        return [
            {"label": names[i], "before": _figure(before[i]), "after": _figure(after[i])}
            for i in _largest(np.abs(moves.labels))
        ]

    def _confidence(self, summary: Summary) -> dict[str, float]:
        """Median confidence before and after, to the reference's quantiles; empty if either has no scores."""
        edges = self._p["confidence_edges"][:, 0]
        out = {}
        for name, counts in (("before", self._reference.counts), ("after", summary.counts)):
            rows = int(counts["confidence"][-1])
            if rows:
                below_half = np.flatnonzero(counts["confidence"][:-1] * 2 < rows)
                out[name] = _figure(float(edges[min(below_half.min(initial=len(edges)), len(edges) - 1)]))
        return out if len(out) == 2 else {}


def _thinned(batch: EventBatch, rows: int) -> EventBatch:
    return batch if len(batch) <= rows else batch.take(np.linspace(0, len(batch) - 1, rows).astype(np.int64))


def _clean_parts(fitted: Params, clean: EventBatch) -> list[FloatArray]:
    """Parts of blocks of clean rows, each compared to other clients' rows (to another time's, if clients are few).

    One split of few clients can be a lucky one, so they are split several times over.
    """
    parts = []
    for side in _splits(clean):
        for mine, other in ((np.flatnonzero(side), ~side), (np.flatnonzero(~side), side)):
            reference = count(fitted, clean.take(other))
            size = int(np.clip(len(mine) // _BLOCKS, MIN_ROWS, _MAX_BLOCK))
            starts = range(0, max(len(mine) - size, 0) + 1, size)
            parts += [compare(fitted, reference, count(fitted, clean.take(mine[i : i + size]))).parts for i in starts]
    return parts


def _splits(clean: EventBatch) -> list[BoolArray]:
    clients = list(dict.fromkeys(clean.clients))
    if len(clients) < _FEWEST_CLIENTS:
        return [np.arange(len(clean)) < len(clean) // 2]
    rng = np.random.default_rng(0)
    places = [dict(zip(clients, rng.permutation(len(clients)).tolist(), strict=True)) for _ in range(_SPLITS)]
    return [np.array([place[c] % 2 == 0 for c in clean.clients], dtype=np.bool_) for place in places]


def _largest(values: FloatArray) -> list[int]:
    """Indices of the largest values above 0, largest first, ties by index."""
    return [int(i) for i in np.argsort(-values, kind="stable")[:_NAMED] if values[i] > 0]


def _figure(value: float) -> float:
    return float(f"{value:.4g}")
