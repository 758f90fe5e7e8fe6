"""The quota: a window speaks for a model's clients, not for its busiest one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from window_traffic import traffic

from detectors.batch import EventBatch
from detectors.quota import fit_quota, window_index, within_quota


def sessions(seed: int, length: int) -> EventBatch:
    """Every ``length`` successive rows of a client are one row repeated: perfectly alike."""
    batch = traffic(seed, rows=2400, clients=40)
    x = batch.x.copy()
    for rows in batch.by_client().values():
        x[rows] = x[rows[np.arange(len(rows)) // length * length]]
    return replace(batch, x=x)


def test_rows_within_the_quota_are_each_clients_first_in_each_window() -> None:
    batch = traffic(1, rows=600, clients=5)
    keep = within_quota(batch, 60.0, 3)
    window = window_index(batch.ts, 60.0)
    for w in np.unique(window):
        for rows in batch.by_client().values():
            inside = rows[window[rows] == w]
            assert keep[inside].tolist() == [True] * min(3, len(inside)) + [False] * max(len(inside) - 3, 0)


def test_alike_rows_make_a_small_quota_and_independent_ones_a_large_one() -> None:
    alike, mixed = fit_quota(sessions(1, 16), 600.0), fit_quota(sessions(1, 1), 600.0)
    assert alike == 8
    assert mixed > 3 * alike


@pytest.mark.parametrize("clients", [1, 3])
def test_a_model_with_few_clients_keeps_enough_rows(clients: int) -> None:
    names = tuple(f"client:{i % clients}" for i in range(2400))
    batch = replace(sessions(1, 16), clients=names)
    quota = fit_quota(batch, 120.0)
    kept = np.unique(window_index(batch.ts, 120.0)[within_quota(batch, 120.0, quota)], return_counts=True)[1]
    assert np.median(kept) >= 100


def test_windows_tile_time_also_before_the_epoch() -> None:
    assert window_index(np.array([-0.1, 0.0, 59.999, 60.0]), 60.0).tolist() == [-1, 0, 0, 1]
