"""Addresses: the quick way for plain IPv4 says what ``ipaddress`` says of any text."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.codec.fields import address
from monitor.event import Rejection

_QUADS = st.lists(st.integers(0, 300).map(str) | st.sampled_from(["00", "01", "", " 1", "0x1", "\u0661"]), max_size=5)


_TEXTS = st.text(st.characters(exclude_characters=":"), max_size=20)


@given(st.ip_addresses(v=4).map(str) | _QUADS.map(".".join) | _TEXTS)
@example("1.2.3.4\0")
@example("01.2.3.4")
@example("1.2.3")
@example("\ud800")
@example("\uff11.2.3.4")
def test_ipv4_is_taken_as_the_standard_library_takes_it(text: str) -> None:
    try:
        expected = str(ipaddress.IPv4Address(text))
    except ValueError:
        with pytest.raises(Rejection):
            address(text)
    else:
        assert address(text) == expected
