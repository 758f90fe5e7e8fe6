"""The guard: who must never be acted on, and how much may be done at most."""

from __future__ import annotations

import ipaddress
import math

import pytest
from actions_kit import decision, guard
from hypothesis import given
from hypothesis import strategies as st

from responders.decision import ActionType, Outcome, Why
from responders.guard import RESTRICTING, Allowlist, Guard, Limits, host_address


def why(outcome: Outcome | None) -> Why | None:
    return None if outcome is None else outcome.why


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0",
        "::",
        "127.0.0.1",
        "127.255.0.3",
        "::1",
        "::ffff:127.0.0.1",
        "169.254.0.5",
        "fe80::1",
        "fe80::1%eth0",
        "2001:db8::1%1",
        "224.0.0.1",
        "ff02::1",
        "::ffff:224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "",
        "203.0.113.9/32",
        "203.0.113.9 ",
        "203.0.113.009",
        "203.0.113",
        "localhost",
        "203.0.113.9\ndeny all;",
        "x" * 10_000,
    ],
)
def test_what_is_no_single_remote_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - half of the messages are the library's
        host_address(text)
    refused = guard().target_refusal(decision(value=text))
    assert why(refused) is Why.INVALID_TARGET
    assert refused is not None
    assert len(refused.detail) < 300


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("::FFFF:cb00:7109", "203.0.113.9"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("10.0.0.7", "10.0.0.7"),
    ],
)
def test_an_address_has_one_normal_form(text: str, normal: str) -> None:
    assert str(host_address(text)) == normal


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_in_ipv6_clothes_gets_the_same_answer(address: ipaddress.IPv4Address) -> None:
    mapped = f"::ffff:{address}"
    listed = Allowlist(networks=("10.0.0.0/8", "192.0.2.0/24", "::ffff:198.51.100.0/120"))
    assert listed.covers("ip", str(address)) == listed.covers("ip", mapped)
    asked = guard(networks=("10.0.0.0/8",))
    plain = asked.target_refusal(decision(value=str(address)))
    assert why(plain) == why(asked.target_refusal(decision(value=mapped)))


def test_the_allowlist_covers_clients_and_networks() -> None:
    listed = Allowlist(clients=("acct-7",), networks=("10.0.0.0/8", "2001:db8::/32", "198.51.100.7"))
    assert listed.covers("client", "acct-7")
    assert not listed.covers("client", "acct-70")
    assert not listed.covers("client", "10.0.0.1")
    assert listed.covers("ip", "10.255.0.1")
    assert listed.covers("ip", "2001:db8:ffff::1")
    assert listed.covers("ip", "198.51.100.7")
    assert not listed.covers("ip", "198.51.100.8")
    assert not listed.covers("ip", "acct-7")
    assert not listed.covers("model", "acct-7")


def test_a_network_may_have_host_bits_or_ipv6_clothes() -> None:
    assert Allowlist(networks=("10.1.2.3/8",)).covers("ip", "10.9.9.9")
    mapped = Allowlist(networks=("::ffff:10.0.0.0/104",))
    assert mapped.covers("ip", "10.9.9.9")
    assert not mapped.covers("ip", "11.0.0.1")
    with pytest.raises(ValueError, match="office"):
        Allowlist(networks=("office",))


@pytest.mark.parametrize("kind", sorted(RESTRICTING))
def test_every_restriction_needs_a_time_to_live(kind: ActionType) -> None:
    for ttl_s in (None, 0.0, -1.0, math.inf, math.nan):
        assert why(guard().target_refusal(decision(kind, ttl_s=ttl_s, scope="ip"))) is Why.INVALID_TARGET
    assert guard().target_refusal(decision(kind, ttl_s=1.0, scope="ip")) is None


def test_a_rollback_never_expires() -> None:
    assert guard().ttl_s(decision(ActionType.ROLLBACK, "digits", ttl_s=3600.0)) is None
    assert guard().target_refusal(decision(ActionType.ROLLBACK, "digits", ttl_s=None)) is None


def test_a_time_to_live_is_cut() -> None:
    asked = guard(Limits(max_ttl_s=100.0))
    assert asked.ttl_s(decision(ttl_s=99.0)) == 99.0
    assert asked.ttl_s(decision(ttl_s=101.0)) == 100.0


@pytest.mark.parametrize(
    ("kind", "scope"),
    [
        (ActionType.BLOCK_IP, "client"),
        (ActionType.QUARANTINE, "model"),
        (ActionType.QUARANTINE, "group"),
        (ActionType.THROTTLE, "model"),
        (ActionType.ROLLBACK, "client"),
    ],
)
def test_an_action_keeps_to_its_scopes(kind: ActionType, scope: str) -> None:
    assert why(guard().target_refusal(decision(kind, "203.0.113.9", scope=scope))) is Why.INVALID_TARGET


@pytest.mark.parametrize("kind", [ActionType.QUARANTINE, ActionType.THROTTLE])
def test_the_anonymous_client_is_nobody_in_particular(kind: ActionType) -> None:
    assert why(guard().target_refusal(decision(kind, "anonymous"))) is Why.INVALID_TARGET


def test_a_shared_address_is_neither_blocked_nor_throttled() -> None:
    asked = guard(clients_at={"203.0.113.9": 3, "192.0.2.1": 2})
    for kind in (ActionType.BLOCK_IP, ActionType.THROTTLE):
        assert why(asked.target_refusal(decision(kind, scope="ip"))) is Why.SHARED_ADDRESS
        assert why(asked.target_refusal(decision(kind, "::ffff:203.0.113.9", scope="ip"))) is Why.SHARED_ADDRESS
        assert asked.target_refusal(decision(kind, "192.0.2.1", scope="ip")) is None
    # a quarantine diverts only callers without an id
    assert asked.target_refusal(decision(ActionType.QUARANTINE, scope="ip")) is None


def test_caps() -> None:
    asked = guard(Limits(max_active_blocks=2, max_actions_per_hour=5))
    assert asked.refusal(decision(), 1, 4) is None
    assert why(asked.refusal(decision(), 2, 0)) is Why.CAP_REACHED
    assert why(asked.refusal(decision(), 0, 5)) is Why.CAP_REACHED
    rollback = decision(ActionType.ROLLBACK, "digits")
    assert asked.refusal(rollback, 9, 4) is None
    assert why(asked.refusal(rollback, 0, 5)) is Why.CAP_REACHED


def test_messages_are_never_refused() -> None:
    asked = guard(Limits(max_active_blocks=0, max_actions_per_hour=0), clients=("anonymous",))
    assert asked.refusal(decision(ActionType.NOTIFY, "anonymous", scope="client", ttl_s=None), 9, 9) is None


@given(st.text(max_size=60), st.sampled_from(sorted(RESTRICTING)), st.sampled_from(["ip", "client", "model", "\x00"]))
def test_hostile_targets_get_an_answer(value: str, kind: ActionType, scope: str) -> None:
    refused = guard(clients=("acct-1",), networks=("10.0.0.0/8",)).refusal(decision(kind, value, scope=scope), 0, 0)
    assert refused is None or not refused.ok


def test_when_everybody_looks_odd_nobody_more_is_restricted() -> None:
    """A broken camera makes all clients odd at once; 10 may be restricted, or a quarter of those there are."""
    few = Guard(Limits(), Allowlist(), lambda _ip: 1, lambda: 24)
    many = Guard(Limits(), Allowlist(), lambda _ip: 1, lambda: 200)
    asked = decision(ActionType.QUARANTINE, "acct-1")
    assert few.refusal(asked, 9, 0) is None
    refused = few.refusal(asked, 10, 0)
    assert refused is not None
    assert refused.why is Why.CAP_REACHED
    assert "max_client_share" in refused.detail
    assert many.refusal(asked, 49, 0) is None
    assert many.refusal(asked, 50, 0) is not None
