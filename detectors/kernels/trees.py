"""Sums over decision trees."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]


@kernel
def add_up(x: Array, feature: Array, threshold: Array, children: Array, value: Array, out: Array) -> None:
    """Add to ``out (n,)`` what each tree says of each row, tree by tree.

    Args:
        x: ``(n, f)``, without NaN.
        feature, threshold, value: ``(t, m)`` of the nodes of t trees, the root first; ``feature`` -1: a leaf.
        children: ``(t, m, 2)``, nodes to go on with at or below the threshold, and above it.
    """
    for row in range(x.shape[0]):
        for tree in range(feature.shape[0]):
            node = 0
            while feature[tree, node] >= 0:
                above = x[row, feature[tree, node]] > threshold[tree, node]
                node = children[tree, node, 1 if above else 0]
            out[row] += value[tree, node]
