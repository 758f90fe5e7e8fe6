"""Evidence that takes room only where there is some: the same sums as if all were kept."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.alarm import Alarm, Tails
from detectors.dossiers import DossierTable
from detectors.held import Held, stored_rows

D, CLIENTS = 2, 5
ALARM = Alarm([Tails(np.array([1.0, 2.0]), np.array([0.2, 0.05]))] * D, 1e12)
#: A row of a client: its score by each detector.
SCORES = st.sampled_from([np.nan, 0.0, 0.0, 0.0, 1.5, 3.0])
ROWS = st.lists(st.tuples(st.integers(0, CLIENTS - 1), SCORES, SCORES), max_size=60)


def entered(rows: list[tuple[int, float, float]], table: DossierTable) -> None:
    """Enter rows as the panel does."""
    slots = np.array([client for client, *_ in rows], dtype=np.int64)
    hits = ALARM.hits(np.array([scores for _, *scores in rows]).reshape(-1, D))
    batch = SimpleNamespace(slots=slots, batch=SimpleNamespace(ts=np.zeros(len(rows))))
    changes = np.empty((len(rows) * D, 5), dtype=np.int64)
    assert ALARM.judge(hits, batch, np.zeros(len(rows), np.bool_), 0, len(rows), table, changes)[0] == len(rows)


def sums(rows: list[tuple[int, float, float]]) -> np.ndarray:
    """Sums of all clients at the end, kept in full."""
    state = np.zeros((CLIENTS, *ALARM.shape), dtype=np.int64)
    hits = ALARM.hits(np.array([scores for _, *scores in rows]).reshape(-1, D))
    for row, (client, *_) in enumerate(rows):
        state[client] = ALARM.run(hits[row : row + 1], np.zeros(1, np.int64), state[client : client + 1]).log_e[0]
    return state


def table() -> DossierTable:
    new = DossierTable(["a", "b"], ALARM.miss)
    new.reserve(CLIENTS)
    return new


@given(rows=ROWS, more=ROWS, gone=st.sets(st.integers(0, CLIENTS - 1)))
def test_sums_are_as_if_all_were_kept(
    rows: list[tuple[int, float, float]], more: list[tuple[int, float, float]], gone: set[int]
) -> None:
    kept, everyone = table(), np.arange(CLIENTS)
    entered(rows, kept)
    np.testing.assert_array_equal(kept.held.of(everyone), sums(rows))
    in_use = int((kept.held.places >= 0).sum())
    assert kept.held.nbytes == in_use * kept.held.row_bytes == kept.held.row_counts(everyone).sum() * 2 * 3 * 4
    kept.held.clear(np.array(sorted(gone), dtype=np.int64))
    entered(more, kept)
    mine = [row for row in rows if row[0] not in gone] + more
    np.testing.assert_array_equal(kept.held.of(everyone), sums(mine))
    places = kept.held.places[kept.held.places >= 0]
    assert len(set(places.tolist())) == len(places) == kept.held.free[2]


@given(rows=ROWS, wanted=st.lists(st.booleans(), min_size=CLIENTS, max_size=CLIENTS))
def test_what_was_stored_comes_back(rows: list[tuple[int, float, float]], wanted: list[bool]) -> None:
    was, mask = table(), np.array(wanted)
    entered(rows, was)
    back = Held(ALARM.miss)
    back.places = np.full((CLIENTS, D), -1, dtype=np.int32)
    marks = was.held.places[:CLIENTS].copy()
    stored = stored_rows(marks, was.held.stored(marks), ALARM.shape[1:])
    assert stored is not None
    assert marks.max(initial=0) <= 0
    slots = np.flatnonzero(mask)[::-1].copy()
    for d in range(D):
        back.restore(slots, d, *stored.of(mask, d))
    np.testing.assert_array_equal(back.of(slots), was.held.of(np.flatnonzero(mask)))
    mine, again = was.held.places[np.flatnonzero(mask)], back.places[slots]
    assert back.stored(again) == was.held.stored(mine)
    np.testing.assert_array_equal(again, mine)


def test_other_levels_and_marks_that_are_none_are_no_match() -> None:
    one_row = np.zeros(6, "<i4").tobytes()
    assert stored_rows(np.zeros((1, 1), np.int32), one_row, (2, 3)) is not None
    assert stored_rows(np.zeros((1, 1), np.int32), one_row, (3, 3)) is None
    assert stored_rows(np.full((1, 1), -1, np.int32), one_row, (2, 3)) is None
    assert stored_rows(np.array([[0, 1]], np.int32), one_row, (2, 3)) is None


def test_rows_that_are_free_are_used_again_and_given_back() -> None:
    many = 5000
    held = Held(ALARM.miss)
    held.places = np.full((many, D), -1, dtype=np.int32)
    sums = np.arange(many * 6, dtype=np.int32).reshape(many, 2, 3)
    held.restore(np.arange(many), 1, np.zeros(many, np.int8), sums)
    held.clear(np.arange(10, many))
    assert held.nbytes == 10 * held.row_bytes
    held.pack()
    assert len(held.rows) == 10
    np.testing.assert_array_equal(held.of(np.arange(10))[:, 1], sums[:10])
    held.drop(3, 1)
    assert (held.of(np.arange(3, 4)) == 0).all()
    assert held.free.tolist() == [3, 10, 9]
