"""Sums over decision trees."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]


#: Rows that go down a tree side by side: the processor does not wait for one step to begin the next.
_ABREAST: Final = 16


@kernel
def add_up(x: Array, depth: Array, feature: Array, threshold: Array, below: Array, value: Array, out: Array) -> None:
    """Add to ``out (n,)`` what each tree says of each row, tree by tree.

    Args:
        x: ``(n, f)``, without NaN.
        depth: ``(t,)``, steps from the root to the deepest leaf.
        feature, threshold, value: ``(t, m)`` of the nodes of t trees, the root first; ``feature`` is unsigned.
        below: unsigned ``(t, m)``, the node to go on with at or below the threshold; the one above it comes next. A
            leaf has itself here, and a threshold that nothing is above.
    """
    # Flat and unsigned: an index that cannot be negative is not looked at for that, which takes half of the time.
    flat, features, thresholds = x.reshape(-1), feature.reshape(-1), threshold.reshape(-1)
    belows, values = below.reshape(-1), value.reshape(-1)
    node, row = np.zeros(_ABREAST, dtype=np.uint64), np.zeros(_ABREAST, dtype=np.uint64)
    none, one = np.uint64(0), np.uint64(1)
    for start in range(0, x.shape[0], _ABREAST):
        rows = min(_ABREAST, x.shape[0] - start)
        for i in range(_ABREAST):  # always as many, the last one again where there are fewer
            row[i] = np.uint64((start + min(i, rows - 1)) * x.shape[1])
        for tree in range(feature.shape[0]):
            root = np.uint64(tree * feature.shape[1])
            node[:] = root
            for _ in range(depth[tree]):
                for i in range(_ABREAST):
                    at = node[i]
                    above = flat[row[i] + features[at]] > thresholds[at]
                    node[i] = root + belows[at] + (one if above else none)
            for i in range(rows):
                out[start + i] += values[node[i]]
