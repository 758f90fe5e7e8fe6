"""The limits of Slack's Block Kit reference, for the kinds of block that notices are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_MAX_TEXT = {"header": 150, "section": 3000}


def within_limits(blocks: Sequence[dict[str, Any]]) -> bool:
    """Would Slack take these blocks? Lengths in UTF-16 units, the strictest reading of its "characters"."""
    return len(blocks) <= 50 and all(_fits(block) for block in blocks)


def _fits(block: dict[str, Any]) -> bool:
    fields, elements = block.get("fields", []), block.get("elements", [])
    if block["type"] == "context":
        return 1 <= len(elements) <= 10 and all(1 <= _units(element["text"]) <= 3000 for element in elements)
    text = block.get("text")
    return (
        block["type"] in _MAX_TEXT
        and (text is not None or bool(fields))
        and (text is None or 1 <= _units(text["text"]) <= _MAX_TEXT[block["type"]])
        and (block["type"] == "section" or (text is not None and text["type"] == "plain_text"))
        and len(fields) <= 10
        and all(1 <= _units(field["text"]) <= 2000 for field in fields)
    )


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
