from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.batch import NO_LABEL
from monitor.columns import align_scores, to_batches
from monitor.event import Event
from tests.monitor.event_strategies import events


def _event(id: str, x: list[list[float]], model: str = "m", **fields: object) -> Event:
    array = np.array(x, np.float32)
    return Event(id=id, ts=float(ord(id[0])), model=model, x=array, shape=array.shape[1:], **fields)  # type: ignore[arg-type]  # a test's keywords


def test_no_events_no_batches() -> None:
    assert to_batches([]) == []


def test_rows_stand_in_arrival_order_with_all_their_columns() -> None:
    scores = np.array([[0.25, 0.75]], np.float32)
    first = _event("a", [[1, 2]], client_id="alice", version="3", client_ip="203.0.113.9", scores=scores)
    second = _event("b", [[3, np.nan]], scores=scores[:, ::-1], labels=np.array([7]))

    [batch] = to_batches([first, second])

    assert batch.model == "m"
    assert batch.ids == ("a", "b")
    assert batch.ts.tolist() == [97.0, 98.0]
    assert batch.clients == ("client:alice", "client:anonymous")
    np.testing.assert_array_equal(batch.x, np.array([[1, 2], [3, np.nan]], np.float32))
    assert batch.x.dtype == np.float32
    assert batch.shape == (2,)
    assert batch.labels.tolist() == [1, 7]
    assert batch.scores is not None
    assert batch.scores.tolist() == [[0.25, 0.75], [0.75, 0.25]]
    assert batch.request.tolist() == [0, 1]
    assert batch.versions == ("3", "")
    assert batch.ips == ("203.0.113.9", "")


def test_request_of_several_rows_becomes_several_rows() -> None:
    [batch] = to_batches([_event("a", [[1]]), _event("b", [[2], [3], [4]], client_id="bob"), _event("c", [[5]])])
    assert batch.ids == ("a", "b", "b", "b", "c")
    assert batch.clients[1:4] == ("client:bob",) * 3
    assert batch.x.ravel().tolist() == [1, 2, 3, 4, 5]
    assert batch.request.tolist() == [0, 1, 1, 1, 2]
    assert batch.ts.tolist() == [97, 98, 98, 98, 99]
    assert batch.labels.tolist() == [NO_LABEL] * 5


def test_what_cannot_share_a_table_is_kept_apart_in_order_of_first_appearance() -> None:
    two, three = np.ones((1, 2), np.float32), np.ones((1, 3), np.float32)
    image = Event(id="i", ts=1.0, model="m", x=np.zeros((1, 4), np.float32), shape=(2, 2))
    flat = Event(id="f", ts=1.0, model="m", x=np.zeros((1, 4), np.float32), shape=(4,))
    batches = to_batches(
        [_event("a", [[1]]), image, _event("b", [[1]], model="n"), flat, _event("c", [[2]], scores=two),
         _event("d", [[3]]), _event("e", [[4]], scores=three), _event("g", [[5]], scores=two)]
    )  # fmt: skip
    assert [b.ids for b in batches] == [("a", "d"), ("i",), ("b",), ("f",), ("c", "g"), ("e",)]
    assert [b.request.tolist() for b in batches] == [[0, 5], [1], [2], [3], [4, 7], [6]]


@given(st.lists(events(), max_size=8))
def test_every_row_of_every_event_is_in_exactly_one_batch(originals: list[Event]) -> None:
    batches = to_batches(originals)

    assert sum(map(len, batches)) == sum(e.rows for e in originals)
    for batch in batches:
        assert (np.diff(batch.request) >= 0).all()
        start = 0
        for index in dict.fromkeys(batch.request.tolist()):
            event = originals[index]
            rows = slice(start, start := start + event.rows)
            assert batch.request[rows].tolist() == [index] * event.rows
            assert (batch.model, batch.shape) == (event.model, event.shape)
            assert batch.ids[rows] == (event.id,) * event.rows
            assert batch.clients[rows] == (event.client,) * event.rows
            assert batch.versions[rows] == (event.version,) * event.rows
            assert batch.ips[rows] == (event.client_ip,) * event.rows
            assert (batch.ts[rows] == event.ts).all()
            np.testing.assert_array_equal(batch.x[rows], event.x)
            np.testing.assert_array_equal(batch.labels[rows], event.served_labels())
            assert (batch.scores is None) == (event.scores is None)
            if batch.scores is not None:
                np.testing.assert_array_equal(batch.scores[rows], event.scores)
        assert start == len(batch)


@given(st.lists(events(), min_size=1, max_size=4))
def test_events_are_not_written_to(originals: list[Event]) -> None:
    before = [event.x.copy() for event in originals]
    for batch in to_batches(originals):
        batch.x[...] = 0  # a batch is a copy, so even this cannot reach the events
    for event, x in zip(originals, before, strict=True):
        np.testing.assert_array_equal(event.x, x)


def test_scores_of_another_width_become_nan_and_labels_stay() -> None:
    three = np.array([[0.1, 0.2, 0.7]], np.float32)
    events = [_event("a", [[1]]), _event("b", [[2]], scores=three), _event("c", [[3]], scores=three[:, :2])]
    [batch] = to_batches([align_scores(e, 3) for e in events])
    assert batch.ids == ("a", "b", "c")
    assert batch.labels.tolist() == [NO_LABEL, 2, 1]
    assert batch.scores is not None
    assert np.isnan(batch.scores).all(axis=1).tolist() == [True, False, True]
    [bare] = to_batches([align_scores(e, 0) for e in events])
    assert bare.scores is None
    assert bare.labels.tolist() == [NO_LABEL, 2, 1]


@given(st.lists(events(), max_size=6), st.integers(0, 3), st.booleans())
def test_models_of_a_known_width_are_aligned_first(originals: list[Event], width: int, all_known: bool) -> None:
    models = [event.model for event in originals]
    widths = dict.fromkeys(models if all_known else models[:1], width)
    aligned = [align_scores(e, widths[e.model]) if e.model in widths else e for e in originals]
    batches, expected = to_batches(originals, widths), to_batches(aligned)
    assert [(b.model, b.shape, b.ids) for b in batches] == [(b.model, b.shape, b.ids) for b in expected]
    for batch, other in zip(batches, expected, strict=True):
        np.testing.assert_array_equal(batch.request, other.request)
        np.testing.assert_array_equal(batch.labels, other.labels)
        assert (batch.scores is None) == (other.scores is None)
        if batch.scores is not None:
            np.testing.assert_array_equal(batch.scores, other.scores)
