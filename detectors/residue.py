"""What clean inputs hardly have: how much of an input lies beside the leading directions, and whether it is rough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from detectors.batch import BoolArray, EventBatch, FloatArray, round_sig
from detectors.contract import Params
from detectors.exact import row_blocks
from detectors.roughness import is_picture, roughness
from detectors.sampling import fair_rows
from detectors.subspace import Subspace

_ROUGH_SHARE: Final = 0.5
_FIT_ROWS: Final = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Of each row, ``(n,)``: residue; roughness (0 where rows are no pictures); whether the residue is noise."""

    residue: FloatArray
    roughness: FloatArray
    noise: BoolArray


class Residue:
    """The minor part of inputs: all directions after the leading ones that hold 90 % of the variance.

        residue = sqrt(mean of c_j^2 / v_j over the minor directions)

    with coefficient c_j and clean variance v_j along direction j; directions past the 128th are taken together. About 1
    for clean inputs.

    Noise on a clean input is told from an input of another kind by what the leading directions do not explain. Noise is
    rough (Laplacian energy over energy about 20; photographs have about 4): at least half as rough as clean residues
    usually are, for those are mostly sensor noise. And noise is weaker than the input under it: its energy is at most
    what clean inputs usually have along the leading directions. Rows that are no pictures need only be weak.
    """

    def __init__(self, params: Params) -> None:
        self._subspace = Subspace(params)
        self.usual_roughness = float(params["usual_roughness"])
        self._usual_energy = float(params["usual_energy"])

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        params = Subspace.fit(clean, leading_only=False)
        params |= {"usual_roughness": np.array(0.0), "usual_energy": np.array(np.inf)}
        some = clean.take(fair_rows(clean, _FIT_ROWS))
        space = Subspace(params)
        leading = np.concatenate([np.sum(space.leading_coefficients(some.x[b]) ** 2, axis=1) for b in _blocks(some)])
        return params | {
            "usual_roughness": np.array(np.median(cls(params)(some).roughness)),
            "usual_energy": np.array(np.median(leading)),
        }

    def __call__(self, batch: EventBatch) -> Measured:
        residue, rough, outside = np.empty(len(batch)), np.zeros(len(batch)), np.empty(len(batch))
        space = self._subspace
        picture = is_picture(batch.shape)
        for block in _blocks(batch):
            centred = space.centred(batch.x[block])
            c = space.coefficients(centred)
            energy = np.sum(c[:, space.leading :] ** 2 / space.variance[space.leading :], axis=1)
            whole = np.sum(centred**2, axis=1)
            if space.beyond:
                energy += np.maximum(whole - np.sum(c**2, axis=1), 0.0) / space.beyond_variance
            residue[block] = np.sqrt(energy / max(c.shape[1] - space.leading + space.beyond, 1))
            outside[block] = whole - np.sum(c[:, : space.leading] ** 2, axis=1)
            if picture:
                rough[block] = roughness(space.outside(centred, c), batch.shape)
        # Rounded, so that the last bit of a sum, which may depend on the batch's size, does not choose the side.
        is_rough = round_sig(rough) >= _ROUGH_SHARE * self.usual_roughness
        return Measured(residue, rough, is_rough & (round_sig(outside) <= self._usual_energy))


def _blocks(batch: EventBatch) -> list[slice]:
    return row_blocks(len(batch), batch.x.shape[1])
