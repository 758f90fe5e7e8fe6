"""Hostile text made fit to be shown: no control, bidi or invisible characters, bounded, no live links."""

from __future__ import annotations

import datetime as dt
import unicodedata
from typing import Final

ELLIPSIS: Final = "…"
#: Control, format (bidi, zero width, tags), surrogate, private, unassigned, line and paragraph separators.
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def visible(text: str, limit: int, *, lines: bool = False) -> str:
    r"""The text as a person may safely see it, at most ``limit`` UTF-16 units long, cut with an ellipsis.

    Characters that steer a display or cannot be seen come out as their escape (``\u202e``), so that nothing can hide
    or reverse. UTF-16 units are the strictest of the ways in which services count. Line feeds stay if ``lines``. Empty
    text gives ``-``: services refuse empty fields.
    """
    pieces: list[str] = []
    used = 0
    room_at: list[int] = []
    for char in text:
        piece = char if (lines and char == "\n") or unicodedata.category(char) not in _HIDDEN else _escape(char)
        width = sum(2 if ord(c) > 0xFFFF else 1 for c in piece)
        if used + width > limit:
            while pieces and used > limit - 1:
                pieces.pop()
                used = room_at.pop()
            pieces.append(ELLIPSIS)
            break
        room_at.append(used)
        pieces.append(piece)
        used += width
    return "".join(pieces).strip() or "-"


def defanged(text: str) -> str:
    """Web addresses broken so that a mail client makes no link of them; the reader can still see them."""
    return text.replace("://", "[:]//").replace("www.", "www[.]")


def utc(ts: float) -> str:
    """``2025-11-20 22:40:00 UTC``; ``unknown time`` for what is no time."""
    try:
        return dt.datetime.fromtimestamp(ts, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return "unknown time"


def bounded(items: list[str], keep: int) -> list[str]:
    """The first ``keep`` lines, and one saying how many are left out."""
    left_out = len(items) - keep
    return [*items[:keep], f"({left_out} more)"] if left_out > 0 else items


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
