"""The blocklist file's format: our lines first, then everything else exactly as it was. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, unquote

_LINE: Final = re.compile(rb"([0-9a-fA-F.:]+)  # until=([0-9TZ:-]+) incident=([^\s]*) vedette=([^\s]+)")


@dataclass(frozen=True, slots=True)
class Hold:
    """Why an address is on the list: one decision, until then (seconds since the epoch)."""

    decision: str
    incident: str
    until: float


class Blocklist:
    """``ADDRESS  # until=UTC incident=ID,… vedette=DECISION@EPOCH,…`` a line; other lines are other people's.

    An address stays as long as one decision holds it; ``until`` is the last one's end, rounded up to a second. Ids are
    percent-encoded, so that no id can end a field or a line.
    A line of ours that somebody edited is theirs from then on.
    """

    def __init__(self, data: bytes) -> None:
        self._held: dict[str, dict[str, Hold]] = {}
        self._others = bytearray()
        for line in data.splitlines(keepends=True):
            parsed = _parse(line.rstrip(b"\r\n"))
            if parsed is None:
                self._others += line
            else:
                self._held.setdefault(parsed[0], {}).update(parsed[1])

    def hold(self, address: str, decision: str) -> Hold | None:
        return self._held.get(address, {}).get(decision)

    def add(self, address: str, hold: Hold) -> None:
        self._held.setdefault(address, {})[hold.decision] = hold

    def drop(self, decision: str) -> bool:
        """End what this decision holds; False if it holds nothing."""
        found = [holds.pop(decision, None) for holds in self._held.values()]
        return any(found)

    def drop_expired(self, now: float) -> None:
        """End what should have ended: nobody else would lift a block whose ledger was lost."""
        for holds in self._held.values():
            for decision in [d for d, hold in holds.items() if hold.until <= now]:
                del holds[decision]

    def render(self) -> bytes:
        """The file's content. Our lines come first, so that what others wrote stays as it is to the last byte."""
        return b"".join(_line(a, holds) + b"\n" for a, holds in self._held.items() if holds) + bytes(self._others)


def _line(address: str, holds: dict[str, Hold]) -> bytes:
    until = datetime.fromtimestamp(math.ceil(max(h.until for h in holds.values())), UTC)
    incidents = ",".join(quote(h.incident, safe="") for h in holds.values())
    decisions = ",".join(f"{quote(h.decision, safe='')}@{h.until!r}" for h in holds.values())
    return f"{address}  # until={until:%Y-%m-%dT%H:%M:%SZ} incident={incidents} vedette={decisions}".encode()


def _parse(line: bytes) -> tuple[str, dict[str, Hold]] | None:
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    address, _, incidents, decisions = (part.decode("ascii", "replace") for part in match.groups())
    holds = {}
    try:
        for incident, held in zip(incidents.split(","), decisions.split(","), strict=True):
            decision, _, until = held.rpartition("@")
            holds[unquote(decision)] = Hold(unquote(decision), unquote(incident), float(until))
        return (address, holds) if _line(address, holds) == line else None
    except (ValueError, OverflowError, OSError):
        return None
