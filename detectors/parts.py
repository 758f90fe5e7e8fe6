"""Parts of a picture that are known again wherever they lie, and under whatever light."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.batch import IntArray
from detectors.contract import Params
from detectors.detail import BLOCKS
from detectors.kernels.parts import least_runs
from detectors.pictures import as_images, is_picture
from detectors.rows import Inputs

#: Pixels of a run, and the changes between them; fewer in pictures that are not as high or as wide.
_PIXELS: Final = 7
#: Steps in a standard deviation: changes that are the same but for rounding are the same step.
_STEPS: Final = 4096.0
#: Pictures have as many parts in common as no two clean ones of different clients, and so many more; at least so many.
_MORE: Final = 4
_LEAST: Final = 8


class Parts:
    """Runs of seven neighbouring pixels, down and across, are told by the changes from pixel to pixel, in steps of
    1/4096 standard deviation: what a constant added to all of them, or a shift of the picture, leaves as it is. Of all
    runs of a picture that change at all, those with the least keyed hash in each of 16 bins, eight of either direction,
    stand for it (min-hashes in one permutation: Li, Owen, Zhang 2012, arXiv 1208.1259). So of two pictures that have a
    share J of all their runs in common about 16 J bins agree, and without the key nobody can say which runs count.
    """

    def __init__(self, shape: tuple[int, ...], scale: float, key: npt.NDArray[np.uint64]) -> None:
        """``shape`` of a picture; ``scale``: its standard deviation; ``key``: the secret, at least 6 words."""
        at = as_images(np.arange(int(np.prod(shape)))[None], shape)[0]
        self._length = min(_PIXELS, *at.shape[1:]) - 1
        self._strides = np.array([at[0, 1, 0] - at[0, 0, 0], at[0, 0, 1] - at[0, 0, 0]])
        self._starts = np.full((2, at.size), np.iinfo(np.uint32).max, dtype=np.uint32)
        self._starts[0, at[:, : -self._length]] = 0
        self._starts[1, at[:, :, : -self._length]] = 0
        self._keys = ((key[: _PIXELS - 1] >> np.uint64(32)).astype(np.uint32) | np.uint32(1)).view(np.int32)
        self._keys[self._length :] = 0
        self._per_step = np.float32(_STEPS / scale)

    def hashes(self, x: Inputs) -> npt.NDArray[np.uint8]:
        """A byte for each bin of pictures ``(n, d)``, ``(n, 16)``; 0 for one without a run."""
        out = np.empty((len(x), BLOCKS), dtype=np.uint8)
        pixels = np.ascontiguousarray(x, dtype=np.float32)
        least_runs(pixels, self._per_step, self._starts, self._strides, self._length, self._keys, out)
        return out


def parts_of(params: Params) -> Parts | None:
    """Those of inputs of ``shape`` in units of ``scale``, with ``digest_key``; None if they are no pictures."""
    shape = tuple(params["shape"].tolist())
    if not is_picture(shape):
        return None
    return Parts(shape, float(params["scale"][0]), params["digest_key"].astype(np.uint64))


def fit_least_equal(hashes: npt.NDArray[np.uint8], digests: IntArray, client: IntArray) -> int:
    """How many parts two pictures must have in common for it to be no chance: four more than any two clean pictures of
    different clients that are not identical, at least 8; more than there are if that cannot be told.

    Args:
        hashes: of clean pictures, ``(n, 16)``. digests: of their bytes, ``(n,)``. client: index, ``(n,)``.
    """
    most = 0
    for i in range(len(hashes) - 1):
        equal = np.count_nonzero((hashes[i + 1 :] == hashes[i]) & (hashes[i] != 0), axis=1)
        apart = (client[i + 1 :] != client[i]) & (digests[i + 1 :] != digests[i])
        most = max(most, int(equal[apart].max(initial=0)))
    return max(most + _MORE, _LEAST)
