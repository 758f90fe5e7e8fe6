"""Sums over decision trees."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]


#: Rows that go down a tree side by side: the processor does not wait for one step to begin the next.
_ABREAST: Final = 8


@kernel
def add_up(x: Array, depth: Array, feature: Array, threshold: Array, below: Array, value: Array, out: Array) -> None:
    """Add to ``out (n,)`` what each tree says of each row, tree by tree.

    Args:
        x: ``(n, f)``, without NaN.
        depth: ``(t,)``, steps from the root to the deepest leaf.
        feature, threshold, value: ``(t, m)`` of the nodes of t trees, the root first.
        below: ``(t, m)``, the node to go on with at or below the threshold; the one above it comes next. A leaf
            has itself here, and a threshold that nothing is above.
    """
    node = np.zeros(_ABREAST, dtype=np.int64)
    for start in range(0, x.shape[0], _ABREAST):
        rows = min(_ABREAST, x.shape[0] - start)
        for tree in range(feature.shape[0]):
            node[:] = 0
            for _ in range(depth[tree]):
                for i in range(rows):
                    at = node[i]
                    above = x[start + i, feature[tree, at]] > threshold[tree, at]
                    node[i] = below[tree, at] + (1 if above else 0)
            for i in range(rows):
                out[start + i] += value[tree, node[i]]
