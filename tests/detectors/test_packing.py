"""Packed values: the same again, and no surprise from bytes that nobody packed."""

from __future__ import annotations

import struct

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from detectors.packing import pack, unpack

VALUES = st.dictionaries(st.text(), st.lists(st.integers(-(2**63), 2**63 - 1)) | st.binary())

#: A frame that says of itself that it is larger than any memory.
BOASTFUL = zstandard.MAGIC_NUMBER.to_bytes(4, "little") + b"\xe0" + struct.pack("<Q", 1 << 50) + b"\1\0\0"


@given(VALUES)
def test_what_was_packed_is_unpacked(value: dict[str, list[int] | bytes]) -> None:
    assert unpack(pack(value), dict[str, list[int] | bytes]) == value


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"garbage",
        pack([1])[:-1],
        pack("text"),
        zstandard.compress(b"\xc1"),
        zstandard.compress(b"\x91" * 100_000),
        zstandard.compress(msgspec.msgpack.encode(["a"]).replace(b"a", b"\xff")),
        BOASTFUL,
    ],
)
def test_other_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        unpack(raw, list[str])
