"""Rows compared across clients: a few of each, whoever floods, and the same however they were cut and saved."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.band_entries import encode
from detectors.fingerprints import BANDS, DIMS
from monitor.band_rows import QUOTA, BandRows, compared, thinned
from monitor.event import ANONYMOUS

#: (client, what the row is): equal bytes have equal digests.
ROWS = st.lists(st.tuples(st.sampled_from(["client:a", "client:b", "client:c", ANONYMOUS]), st.integers(0, 12)))


def piece(rows: list[tuple[str, int]], begin: int = 0) -> BandRows:
    kinds = np.array([kind for _, kind in rows], dtype=np.int64)
    # spread as a keyed hash would be, so that ranks have nothing to do with the order
    digests = (kinds * 0x9E3779B97F4A7C15 % 2**64).astype(np.uint64).view(np.int64) if len(rows) else kinds
    columns = (
        np.repeat(kinds[:, None], DIMS, axis=1).astype("<i2").tobytes(),
        np.repeat(kinds[:, None], BANDS, axis=1).tobytes(),
        digests.tobytes(),
        (1000.0 + begin + np.arange(len(rows))).tobytes(),
        (kinds % 3).tobytes(),
    )
    return BandRows(columns, tuple(c for c, _ in rows), tuple(f"r{begin + i}" for i in range(len(rows))))


@given(ROWS, st.lists(st.integers(0, 40)))
def test_choosing_among_chosen_parts_is_choosing_among_all(rows: list[tuple[str, int]], cuts: list[int]) -> None:
    edges = sorted({0, len(rows), *(c for c in cuts if c <= len(rows))})
    parts = [piece(rows[a:b], a) for a, b in pairwise(edges)]
    whole = compared([piece(rows)])
    assert encode(compared(parts)) == encode(whole)
    assert encode(compared([thinned([part]) for part in parts])) == encode(whole)
    assert encode(compared([thinned(parts)])) == encode(whole)


@given(ROWS)
def test_of_each_client_a_few_distinct_rows_and_of_nobody_in_particular_none(rows: list[tuple[str, int]]) -> None:
    found = compared([piece(rows)])
    clients = [found.clients[i] for i in found.who.tolist()]
    for client in {client for client, _ in rows}:
        distinct = len({kind for c, kind in rows if c == client})
        expected = 0 if client == ANONYMOUS else min(distinct, QUOTA)
        assert clients.count(client) == BANDS * expected
        assert all(kept == expected for kept, c in zip(found.kept.tolist(), clients, strict=True) if c == client)
    assert len(set(found.events.tolist())) * BANDS == len(found)
