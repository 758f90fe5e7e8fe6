"""The alerts file, read back: one finding a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from detectors.finding import Finding
from monitor.errors import UserError

_MAX_LINE_BYTES: Final = 1024 * 1024
_DECODER: Final = msgspec.json.Decoder(Finding)


class AlertsError(UserError, ValueError):
    """An alerts file that cannot be used; the message names the line and what is wrong with it."""


def decode_alerts(lines: Iterable[bytes]) -> list[Finding]:
    """Findings from lines of JSON; empty lines are passed over, unknown fields ignored. Raises AlertsError."""
    findings: list[Finding] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if len(line) > _MAX_LINE_BYTES:
            raise AlertsError(f"line {number}: {len(line)} bytes; the limit is {_MAX_LINE_BYTES}")
        try:
            findings.append(_DECODER.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise AlertsError(f"line {number}: {error}") from error
    return findings


def read_alerts(path: Path) -> list[Finding]:
    """The findings of a file. Raises AlertsError naming file and line, OSError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return decode_alerts(iter(lambda: file.readline(_MAX_LINE_BYTES + 1), b""))
    except AlertsError as error:
        raise AlertsError(f"{path}: {error}") from error


def as_finding(alert: Finding | Mapping[str, Any]) -> Finding:
    """A finding as it is, or from a plain mapping of its fields. Raises AlertsError."""
    if isinstance(alert, Finding):
        return alert
    try:
        return msgspec.convert(dict(alert), Finding)
    except msgspec.ValidationError as error:
        raise AlertsError(f"not a finding: {error}") from error
