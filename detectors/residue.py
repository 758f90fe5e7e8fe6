"""What clean inputs hardly have: how much of an input lies beside the leading directions, and whether it is rough."""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.batch import EventBatch, IntArray, round_sig
from detectors.contract import Params
from detectors.digest import params_digest
from detectors.exact import row_blocks
from detectors.fit_once import fit_once
from detectors.pictures import is_picture
from detectors.roughness import roughness
from detectors.rows import Inputs, Measures, Rows
from detectors.sampling import fair_rows
from detectors.subspace import Subspace

_ROUGH_SHARE: Final = 0.5
_FIT_ROWS: Final = 2000


#: Of a row: residue; roughness (0 where rows are no pictures); whether the residue is noise.
_MEASURED: Final = np.dtype([("residue", "<f8"), ("roughness", "<f8"), ("noise", "?")])


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
        used = {*Subspace.PARAMS, "usual_roughness", "usual_energy"}
        self._key = b"residue " + params_digest({name: params[name] for name in used})

    @staticmethod
    @fit_once
    def fit(clean: EventBatch) -> Params:
        params = Subspace.fit(clean, leading_only=False)
        params |= {"usual_roughness": np.array(0.0), "usual_energy": np.array(np.inf)}
        some = clean.take(fair_rows(clean, _FIT_ROWS))
        space = Subspace(params)
        blocks = row_blocks(len(some), some.x.shape[1])
        leading = np.concatenate([np.sum(space.leading_coefficients(some.x[b]) ** 2, axis=1) for b in blocks])
        return params | {
            "usual_roughness": np.array(np.median(Residue(params)(some.x, some.shape)["roughness"])),
            "usual_energy": np.array(np.median(leading)),
        }

    def of(self, rows: Rows, wanted: IntArray) -> Measures:
        """The wanted rows', each measured once for all detectors with the same parameters."""
        return rows.measured(self._key, wanted, lambda x: self(x, rows.batch.shape))

    def __call__(self, x: Inputs, shape: tuple[int, ...]) -> Measures:
        """Of each row, as records ``(n,)``: ``residue``; ``roughness``, 0 where rows are no pictures; ``noise``."""
        out = np.zeros(len(x), _MEASURED)
        outside = np.empty(len(x))
        space, q = self._subspace, self._subspace.leading
        picture = is_picture(shape)
        for block in row_blocks(len(x), x.shape[1]):
            centred = space.centred(x[block])
            c = space.coefficients(centred)
            squares = c**2
            energy = np.sum(squares[:, q:] / space.variance[q:], axis=1)
            whole = np.einsum("ij,ij->i", centred, centred)
            if space.beyond:
                energy += np.maximum(whole - np.sum(squares, axis=1), 0.0) / space.beyond_variance
            out["residue"][block] = np.sqrt(energy / max(c.shape[1] - q + space.beyond, 1))
            outside[block] = whole - np.sum(squares[:, :q], axis=1)
            if picture:
                out["roughness"][block] = roughness(space.outside(centred, c), shape)
        # Rounded, so that the last bit of a sum, which may depend on the batch's size, does not choose the side.
        is_rough = round_sig(out["roughness"]) >= _ROUGH_SHARE * self.usual_roughness
        out["noise"] = is_rough & (round_sig(outside) <= self._usual_energy)
        return out
