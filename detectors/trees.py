"""Boosted decision trees as plain arrays: fitted by scikit-learn, evaluated by a kernel."""

from __future__ import annotations

from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits

from detectors.batch import BoolArray, FloatArray, IntArray, round_sig
from detectors.contract import Params
from detectors.kernels.trees import add_up

_TREES: Final = 60
_LEAVES: Final = 16
_DEPTH: Final = 5
_LEAST_LEAF: Final = 20


class Trees:
    """Log odds of a gradient-boosted classifier (Friedman 2001; histogram trees as in LightGBM, Ke et al. 2017).

    ``params``: ``depth (t,)``, ``feature``, ``threshold``, ``below``, ``value`` ``(t, m)`` as in ``kernels.trees``,
    ``base ()``.
    """

    def __init__(self, params: Params) -> None:
        self._depth = params["tree_depth"].astype(np.int64)
        self._feature = params["tree_feature"].astype(np.uint64)
        self._threshold = params["tree_threshold"].astype(np.float64)
        self._below = params["tree_below"].astype(np.uint64)
        self._value = params["tree_value"].astype(np.float64)
        self._base = float(params["tree_base"])

    @classmethod
    def fit(cls, x: FloatArray, y: BoolArray, seed: int) -> Params:
        """From rows ``x (n, f)`` without NaN; ``y``: which are of the kind that scores high."""
        from sklearn.ensemble import HistGradientBoostingClassifier  # takes a second, and only calibration needs it

        booster = HistGradientBoostingClassifier(
            max_iter=_TREES,
            max_leaf_nodes=_LEAVES,
            max_depth=_DEPTH,
            min_samples_leaf=_LEAST_LEAF,
            early_stopping=False,
            random_state=seed % (1 << 32),
        )
        with threadpool_limits(1):  # sums in one order, whatever the machine
            booster.fit(x, y)
        # scikit-learn has no public way to the nodes of these trees; tests hold the sums against its own.
        trees = [predictor.nodes for (predictor,) in booster._predictors]
        shape = (len(trees), max(len(nodes) for nodes in trees))
        feature, below = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.int32)
        threshold, value = np.full(shape, np.inf), np.zeros(shape)
        for t, nodes in enumerate(trees):
            inner, m = nodes["is_leaf"] == 0, len(nodes)
            order = _siblings_together(nodes["left"], nodes["right"], inner)
            place = np.argsort(order)
            feature[t, :m] = np.where(inner, nodes["feature_idx"], 0)[order]
            threshold[t, :m] = np.where(inner, nodes["num_threshold"], np.inf)[order]
            below[t, :m] = np.where(inner, place[nodes["left"]], place)[order]
            value[t, :m] = np.where(inner, 0.0, nodes["value"])[order]
        return {
            "tree_depth": np.array([nodes["depth"].max() for nodes in trees]),
            "tree_feature": feature,
            "tree_threshold": threshold,
            "tree_below": below,
            "tree_value": value,
            "tree_base": np.array(float(np.ravel(booster._baseline_prediction)[0])),
        }

    def __call__(self, x: FloatArray) -> FloatArray:
        """Log odds ``(n,)``, to 6 digits."""
        out = np.full(len(x), self._base)
        add_up(np.ascontiguousarray(x), self._depth, self._feature, self._threshold, self._below, self._value, out)
        return round_sig(out)


def _siblings_together(left: IntArray, right: IntArray, inner: BoolArray) -> IntArray:
    """The nodes level by level, the two children of one next to each other."""
    order = [0]
    for node in order:  # grows meanwhile
        if inner[node]:
            order += [int(left[node]), int(right[node])]
    return np.array(order)
