"""Rows compared across clients: a few of each, whoever floods, and the same however they were cut and saved."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from row_traffic import batch

from detectors.band_entries import Entries, encode
from detectors.band_spread import BAND_ROW, row_kind, spread
from detectors.fingerprints import BANDS, Prints, ranks
from monitor.band_rows import QUOTA, NewRows, compared, gathered
from monitor.event import ANONYMOUS

#: (client, what the row is): equal bytes have equal digests.
ROWS = st.lists(st.tuples(st.sampled_from(["client:a", "client:b", "client:c", ANONYMOUS]), st.integers(0, 12)))


def piece(rows: list[tuple[str, int]], begin: int = 0) -> NewRows:
    kinds = np.array([kind for _, kind in rows], dtype=np.int64)
    found = np.zeros(len(rows), dtype=BAND_ROW)
    found["z"] = found["cells"] = kinds[:, None]
    # spread as a keyed hash would be, so that ranks have nothing to do with the order
    found["digest"] = (kinds * 0x9E3779B97F4A7C15 % 2**64).astype(np.uint64).view(np.int64) if len(rows) else kinds
    found["ts"] = 1000.0 + begin + np.arange(len(rows))
    found["label"] = kinds % 3
    return NewRows(found, tuple(c for c, _ in rows), tuple(f"r{begin + i}" for i in range(len(rows))))


def test_pictures_are_compared_in_one_more_band_by_their_parts() -> None:
    prints = Prints(
        z=np.arange(24, dtype=np.int16).reshape(2, 12),
        cells=np.array([[2, 4, 7], [6, 8, 9]]),
        digests=np.array([1, 2]),
        parts=np.arange(100, 116, dtype=np.int16).reshape(2, 8),
    )
    rows = batch(np.zeros((2, 64)), ["client:a", "client:b"], (8, 8))
    pieces = [gathered([NewRows.of(rows, prints)])]
    found = compared(pieces)
    entries = spread(found).entries
    assert entries.rows["cell"].tolist() == [2, 4, 6, 7, 8, 9]
    assert np.array_equal(entries.rows["z"][[0, 1, 2, 4]], prints.z[[0, 0, 1, 1]])
    assert np.array_equal(entries.rows["z"][[3, 5], :8], prints.parts)
    assert not entries.rows["z"][[3, 5], 8:].any()
    again = [Entries.unpack(piece.packed(), row_kind(BANDS + 1)) for piece in pieces]
    assert encode(compared(again)) == encode(found)


@given(ROWS, st.lists(st.integers(0, 40)))
def test_choosing_among_chosen_parts_is_choosing_among_all(rows: list[tuple[str, int]], cuts: list[int]) -> None:
    edges = sorted({0, len(rows), *(c for c in cuts if c <= len(rows))})
    parts = [piece(rows[a:b], a) for a, b in pairwise([*edges, len(rows)])]
    whole = compared([gathered([piece(rows)])])
    assert encode(compared([gathered([part]) for part in parts])) == encode(whole)
    assert encode(compared([gathered(parts)])) == encode(whole)


@given(ROWS)
def test_of_each_client_a_few_distinct_rows_and_of_nobody_in_particular_none(rows: list[tuple[str, int]]) -> None:
    found = compared([gathered([piece(rows)])])
    clients = [found.clients[i] for i in range(len(found))]
    for client in {client for client, _ in rows}:
        distinct = len({kind for c, kind in rows if c == client})
        expected = 0 if client == ANONYMOUS else min(distinct, QUOTA)
        assert clients.count(client) == expected
        assert all(
            kept == expected for kept, c in zip(found.rows["kept"].tolist(), clients, strict=True) if c == client
        )
    assert len({found.events[i] for i in range(len(found))}) == len(found)
    assert set(found.rows["bands"].tolist()) <= {2**BANDS - 1}


@given(ROWS)
def test_those_of_least_rank_are_chosen_and_of_equal_rows_the_first(rows: list[tuple[str, int]]) -> None:
    one = piece(rows)
    rank = dict(zip((kind for _, kind in rows), ranks(one.rows["digest"].astype(np.int64)).tolist(), strict=True))
    first: dict[tuple[str, int], str] = {}
    for event, row in zip(one.events, rows, strict=True):
        first.setdefault(row, event)
    expected = set()
    for client in {client for client, _ in rows} - {ANONYMOUS}:
        kinds = sorted({kind for c, kind in rows if c == client}, key=rank.__getitem__)
        expected |= {first[client, kind] for kind in kinds[:QUOTA]}
    found = gathered([one])
    assert {found.events[i] for i in range(len(found))} == expected
