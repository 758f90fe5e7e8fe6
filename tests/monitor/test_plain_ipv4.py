"""Which addresses pass without a further look: those that are written as ``ipaddress`` writes them, and no others."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from detectors.digest import text_bytes
from monitor.codec.plain_ipv4 import all_plain_ipv4

_NEARLY = st.lists(
    st.sampled_from(["0", "00", "1", "01", "9", "10", "099", "199", "255", "256", "999", "1000", "", "-1"])
)
_TEXTS = st.one_of(
    st.ip_addresses(v=4).map(str),
    _NEARLY.map(".".join),
    st.text("0123456789.:/ \n", max_size=16),
    st.text(max_size=8),
)


def plain(ips: Sequence[str]) -> bool:
    return bool(all_plain_ipv4(*text_bytes(ips)))


def canonical(ip: str) -> bool:
    try:
        return str(ipaddress.IPv4Address(ip)) == ip
    except ValueError:
        return False


@given(st.lists(_TEXTS, max_size=4))
@example([])
@example(["1.2.3.4", ""])
@example(["1.2.3.", "4.1.2.3.4"])
@example(["1.2.3.4\n"])
def test_as_the_library_writes_them(ips: list[str]) -> None:
    assert plain(ips) == all(map(canonical, ips))


@pytest.mark.parametrize("ip", ["0.0.0.0", "255.255.255.255", "10.0.200.9"])
def test_plain_ones_pass(ip: str) -> None:
    assert plain([ip] * 3)
