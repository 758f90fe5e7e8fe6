"""Parts of calibration that several detectors have in common are worked out once for the same clean traffic."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from weakref import WeakKeyDictionary

from detectors.batch import EventBatch
from detectors.contract import Params


def fit_once(fit: Callable[[EventBatch], Params]) -> Callable[[EventBatch], Params]:
    """``fit``, which gives the same parameters whenever it is asked about the same batch, while there is that batch."""
    known: WeakKeyDictionary[EventBatch, Params] = WeakKeyDictionary()

    @wraps(fit)
    def fitted(clean: EventBatch) -> Params:
        if clean not in known:
            known[clean] = fit(clean)
        return dict(known[clean])

    return fitted
