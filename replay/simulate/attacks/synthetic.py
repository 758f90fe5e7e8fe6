"""Extraction with inputs made from few own examples: drawn from a model of them, or mixed."""

from __future__ import annotations

import numpy as np

from replay.simulate.attacks.context import AttackContext

_OWN = 60


def structured(context: AttackContext) -> None:
    """Draws from a Gaussian fitted to each class of a few own examples (mean, principal axes), a batch at a time.

    Synthetic data with the structure of real ones, as in Tramèr et al. 2016 (arXiv 1609.02943), where marginals are
    known, and in the class-conditional generators of later work.
    """
    x, y = context.own_examples(_OWN)
    means = {c: x[y == c].mean(axis=0) for c in np.unique(y).tolist()}
    rest = x - np.stack([means[c] for c in y.tolist()])
    _, scale, axes = np.linalg.svd(rest / np.sqrt(len(x)), full_matrices=False)
    for _ in range(context.spec.queries):
        middle = means[int(context.rng.choice(list(means)))]
        row = middle + (context.rng.normal(size=len(scale)) * scale) @ axes
        context.oracle.scores(np.clip(row, 0.0, 1.0)[None, :])


def mixup(context: AttackContext) -> None:
    """Asks about ``λ·x + (1-λ)·x'`` of two own examples, ``λ`` uniform (mixup: Zhang et al. 2018, arXiv 1710.09412)."""
    x, _ = context.own_examples(_OWN)
    for _ in range(context.spec.queries):
        first, second = context.rng.choice(len(x), size=2, replace=False).tolist()
        share = float(context.rng.uniform())
        context.oracle.scores((share * x[first] + (1 - share) * x[second])[None, :])
