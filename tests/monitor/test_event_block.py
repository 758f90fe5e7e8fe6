"""A block of events is the events it stands for, and makes the same batches as they do."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from detectors.batch import EventBatch
from monitor.codec import Limits, decode_record, decode_records
from monitor.columns import marked, names, origins, times, to_batches
from monitor.event import Event
from monitor.event_block import EventBlock
from tests.monitor.event_strategies import assert_same
from tests.monitor.hostile_parts import DROP, event_json

N = 70
FORMS = {
    "scores and labels": {"outputs": {"scores": [0.2, 0.8], "label": 3}},
    "scores alone": {"outputs": {"scores": [0.2, 0.8]}},
    "labels alone": {"outputs": {"label": 2}},
    "names as labels": {"outputs": {"label": "cat"}},
    "values": {"outputs": {"value": 0.5}},
    "no answer": {"outputs": DROP},
}


def block_and_events(form: str) -> tuple[EventBlock, list[Event]]:
    """Some of the clients have an id, some an address, some both, some neither."""
    clients = [{"id": "a", "ip": "10.0.0.1"}, {"ip": "10.0.0.2"}, {"id": "b"}, None]
    records = [
        event_json(id=f"e{i}", ts=1e9 + i, inputs=[i, 1, 2, None], client=clients[i % 4], version="12"[i % 2])
        if form == "plain"
        else event_json(id=f"e{i}", ts=1e9 + i, inputs=[i, 1, 2, None], client=clients[i % 4], **FORMS[form])
        for i in range(N)
    ]
    block = decode_records(records, Limits()).events
    assert isinstance(block, EventBlock)
    return block, [decode_record(raw, Limits()).events[0] for raw in records]


def assert_same_batches(mine: list[EventBatch], theirs: list[EventBatch]) -> None:
    for one, other in zip(mine, theirs, strict=True):
        for field in fields(EventBatch):
            a, b = getattr(one, field.name), getattr(other, field.name)
            if isinstance(a, np.ndarray):
                np.testing.assert_array_equal(a, b)
                assert a.dtype == b.dtype
            else:
                assert a == b


@pytest.mark.parametrize("form", [*FORMS, "plain"])
def test_block_is_its_events(form: str) -> None:
    block, events = block_and_events(form)
    assert len(block) == N
    for mine, theirs in zip(block, events, strict=True):
        assert_same(mine, theirs)
    assert_same(block[-1], events[-1])
    assert [e.id for e in block[3:5]] == ["e3", "e4"]
    with pytest.raises(IndexError):
        block[N]
    assert block.clients == [e.client for e in events]


@pytest.mark.parametrize("form", [*FORMS, "plain"])
@pytest.mark.parametrize("width", [None, 2, 3])
def test_block_gives_the_columns_of_its_events(form: str, width: int | None) -> None:
    block, events = block_and_events(form)
    widths = {} if width is None else {"digits": width}
    assert_same_batches(to_batches(block, widths), to_batches(events, widths))
    np.testing.assert_array_equal(times(block), times(events))
    assert names(block) == names(events)
    assert origins(block) == origins(events)
    assert {*zip(*origins(block), strict=True)} == {("10.0.0.1", "client:a"), ("10.0.0.2", "ip:10.0.0.2")}
    keep = np.arange(N) % 3 == 0
    assert_same_batches(to_batches(marked(block, keep), widths), to_batches(marked(events, keep), widths))
    assert to_batches(marked(block, keep & False)) == []
