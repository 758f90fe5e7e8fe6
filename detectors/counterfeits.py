"""Inputs as model thieves make them, made from clean ones: what the real ones are told from."""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.batch import IntArray
from detectors.rows import Inputs

#: Examples that a thief is taken to own.
_OWN: Final = 60
_THIEVES: Final = 10
#: Step of the augmentation in shares of a feature's clean range (Papernot et al. 2017; Juuti et al. 2019).
_STEP: Final = 0.1


def counterfeits(x: Inputs, labels: IntArray, each: int, rng: np.random.Generator) -> Inputs:
    """``each`` rows of five kinds, ``(5 each, d)``, from clean rows ``x (n, d)`` without missing values.

    Mixtures of two rows (mixup: Zhang et al. 2018, arXiv 1710.09412); draws from Gaussians fitted to each class of a
    few rows; rows moved by a step in each feature (Jacobian augmentation: Papernot et al. 2017, arXiv 1602.02697); each
    feature from another row (marginals known: Tramèr et al. 2016, arXiv 1609.02943); uniform within the clean range.
    """
    low, high = x.min(axis=0), x.max(axis=0)
    one, other = rng.integers(len(x), size=(2, each))
    share = rng.random((each, 1))
    mixed = share * x[one] + (1.0 - share) * x[other]
    signs = rng.choice([-1.0, 1.0], size=(each, x.shape[1]))
    moved = np.clip(x[one] + _STEP * (high - low) * signs, low, high)
    shuffled = np.stack([x[rng.integers(len(x), size=each), j] for j in range(x.shape[1])], axis=1)
    uniform = low + (high - low) * rng.random((each, x.shape[1]))
    drawn = [_drawn(x, labels, len(part), rng) for part in np.array_split(np.arange(each), _THIEVES)]
    kinds = [mixed, np.clip(np.concatenate(drawn), low, high), moved, shuffled, uniform]
    return np.asarray(np.concatenate(kinds), dtype=np.float32)


def _drawn(x: Inputs, labels: IntArray, n: int, rng: np.random.Generator) -> Inputs:
    """From a Gaussian for each class, with its mean and common principal axes, of the few rows that one thief owns."""
    own = rng.choice(len(x), size=min(_OWN, len(x)), replace=False)
    kinds, kind = np.unique(labels[own], return_inverse=True)
    means = np.stack([x[own][kind == k].mean(axis=0) for k in range(len(kinds))])
    _, scale, axes = np.linalg.svd((x[own] - means[kind]) / np.sqrt(len(own)), full_matrices=False)
    return np.asarray(means[rng.integers(len(kinds), size=n)] + (rng.normal(size=(n, len(scale))) * scale) @ axes)
