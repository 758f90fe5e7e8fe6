"""Text fields of an event: names, time, address, tags. Each function gives the value to keep or raises Rejection."""

from __future__ import annotations

import ipaddress
import unicodedata
from datetime import datetime
from functools import lru_cache
from socket import AF_INET, inet_ntop, inet_pton
from typing import Annotated, Final

import msgspec

from monitor.codec.limits import (
    MAX_NAME_CHARS,
    MAX_TAG_KEY_CHARS,
    MAX_TAG_VALUE_CHARS,
    MAX_TAGS,
    MAX_TS,
    Limits,
)
from monitor.event import Reason, Rejection

# Controls, surrogates, line and paragraph separators: they break lines of logs, files and terminals.
_FORBIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_MAX_RFC3339_CHARS: Final = 64
_MAX_ADDRESS_CHARS: Final = 45
_Instant = Annotated[datetime, msgspec.Meta(tz=True)]


def name(value: str, field: str, max_chars: int = MAX_NAME_CHARS, *, may_be_empty: bool = False) -> str:
    """A name of 1 (or 0) to ``max_chars`` characters without control characters; kept exactly as it came. BAD_ID."""
    if not value and not may_be_empty:
        raise Rejection(Reason.BAD_ID, f"{field}: is empty; give 1 to {max_chars} characters")
    if len(value) > max_chars:
        raise Rejection(Reason.BAD_ID, f"{field}: has {len(value)} characters; at most {max_chars}")
    # isprintable is quick but also refuses what names may hold: formatting marks, unusual spaces, new scripts.
    if not value.isprintable() and any(unicodedata.category(c) in _FORBIDDEN_CATEGORIES for c in value):
        raise Rejection(Reason.BAD_ID, f"{field}: holds control characters or line separators; remove them")
    return value


def event_time(value: float | str, limits: Limits, now: float | None) -> float:
    """Epoch seconds or RFC 3339 with an offset, between 1970 and 2100, not far ahead of ``now``. BAD_TIME."""
    ts = _rfc3339(value) if isinstance(value, str) else value
    if not 0.0 < ts < MAX_TS:
        raise Rejection(Reason.BAD_TIME, f"ts: {ts!r} is not between 1970 and 2100; give epoch seconds (not ms)")
    if now is not None and limits.max_future_s is not None and ts > now + limits.max_future_s:
        ahead_s = ts - now
        raise Rejection(Reason.BAD_TIME, f"ts: is {ahead_s:.0f} s ahead of this machine's clock; check both clocks")
    return ts


def _rfc3339(text: str) -> float:
    try:
        if len(text) <= _MAX_RFC3339_CHARS:
            return msgspec.convert(text, _Instant).timestamp()
    except msgspec.ValidationError:
        pass
    raise Rejection(Reason.BAD_TIME, "ts: is not RFC 3339 with an offset, such as 2025-11-21T08:00:00Z")


def address(value: str) -> str:
    """Canonical text of an IPv4 or IPv6 address; IPv4-mapped IPv6 becomes IPv4. BAD_ADDRESS."""
    if len(value) > _MAX_ADDRESS_CHARS:
        raise Rejection(Reason.BAD_ADDRESS, f"client.ip: has {len(value)} characters; give one IPv4 or IPv6 address")
    return _canonical(value)


@lru_cache(maxsize=4096)
def _canonical(value: str) -> str:
    try:
        # Most are plain IPv4: several times as fast as ``ipaddress``, which has the say on all others.
        if inet_ntop(AF_INET, inet_pton(AF_INET, value)) == value:
            return value
    except (OSError, ValueError):
        pass
    try:
        parsed = ipaddress.ip_address(value)
    except ValueError:
        raise Rejection(Reason.BAD_ADDRESS, f"client.ip: {value!r} is not an IPv4 or IPv6 address") from None
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.scope_id is not None:
            raise Rejection(Reason.BAD_ADDRESS, "client.ip: has a zone (%...), which only means something on one host")
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
    return str(parsed)


def bounded_tags(tags: dict[str, str]) -> dict[str, str]:
    """The tags, bounded in number and length. Values may hold any character: whoever shows them escapes them."""
    if len(tags) > MAX_TAGS:
        raise Rejection(Reason.OUT_OF_RANGE, f"tags: has {len(tags)} entries; at most {MAX_TAGS}")
    for key, value in tags.items():
        if not 0 < len(key) <= MAX_TAG_KEY_CHARS:
            raise Rejection(Reason.OUT_OF_RANGE, f"tags: a key has {len(key)} characters; 1 to {MAX_TAG_KEY_CHARS}")
        if len(value) > MAX_TAG_VALUE_CHARS:
            raise Rejection(
                Reason.OUT_OF_RANGE, f"tags[{key!r}]: has {len(value)} characters; at most {MAX_TAG_VALUE_CHARS}"
            )
    return tags
