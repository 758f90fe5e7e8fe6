"""How deep JSON text nests, found without parsing it: cheap for events, linear for anything else."""

from __future__ import annotations

import re
from typing import Final

import numpy as np

# Possessive, and an unterminated string matches to the end: no input makes it backtrack.
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


def nests_deeper(raw: bytes, levels: int) -> bool:
    """Does the JSON text open more than ``levels`` arrays and objects inside one another?

    The parser has a bound of its own, the interpreter's stack, which varies with the caller: a replay and the live
    stream must agree on every record.
    """
    if raw.count(b"[") + raw.count(b"{") <= levels:
        return False
    brackets = np.frombuffer(_STRING.sub(b"", raw).translate(None, _NOT_BRACKETS), dtype=np.uint8)
    opening = (brackets == ord("[")) | (brackets == ord("{"))
    depth = np.cumsum(np.where(opening, np.int8(1), np.int8(-1)), dtype=np.int32)
    return int(depth.max(initial=0)) > levels
