"""Rows that travel between partitions: their order, and their bytes."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from group_traffic import entries, in_order
from hypothesis import given
from hypothesis import strategies as st

from detectors.band_entries import ENTRY, Entries, PackedEntries, decode, encode, joined
from detectors.packing import pack

NONE = entries([], [], [])
ROWS = entries([2, 1, 1], [5, 6, 7], ["b", "ä", ""], digests=[3, 2, 1])


def packed(**changed: object) -> bytes:
    return pack(msgspec.structs.replace(ROWS.packed(), **changed))


def test_bytes_give_the_rows_back() -> None:
    found = decode(encode(ROWS), ENTRY)
    assert found.rows.tobytes() == ROWS.rows.tobytes()
    assert [found.clients[i] for i in range(3)] == ["b", "ä", ""]
    assert [found.events[i] for i in range(3)] == ["e0", "e1", "e2"]
    assert len(decode(encode(NONE), ENTRY)) == 0


@given(st.permutations(range(4)))
def test_order_does_not_depend_on_how_rows_came(order: list[int]) -> None:
    rows = entries([1] * 4, [0] * 4, ["a", "b", "a", "b"], digests=[1, 1, 2, 2])
    rows.rows["ts"] = 0.0
    same = Entries(rows.rows, rows.clients, rows.clients)
    assert encode(in_order(same.take(np.array(order)))) == encode(in_order(same))
    parts = [same.take(np.array([i])) for i in order]
    assert encode(in_order(joined(parts))) == encode(in_order(same))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"garbage",
        encode(NONE)[:-3],
        pack([1]),
        packed(rows=ROWS.packed().rows[:-1]),
        packed(rows=[column[:-1] for column in ROWS.packed().rows]),
        packed(rows=[column[: len(column) // 3] for column in ROWS.packed().rows]),
        packed(events=(b"e0e1", b"\2\0\0\0" * 2)),
        packed(clients=(b"b", b"\1\0\0\0" * 3)),
        packed(clients=(b"b\xc3\xa4", b"\2\0\0\0\1\0\0\0\0\0\0\0")),
        packed(clients=(b"\xff\xff", b"\1\0\0\0\1\0\0\0\0\0\0\0")),
        packed(clients=(b"b\xc3\xa4", b"\1\0\0\0\2\0\0\0\0")),
    ],
)
def test_damaged_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="no band entries"):
        decode(raw, ENTRY)


def test_what_is_stored_is_plain() -> None:
    assert PackedEntries.__struct_fields__ == ("rows", "clients", "events")
