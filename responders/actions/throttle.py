"""Throttle a client: an entry in a JSON file that your gateway reads."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from responders import atomic_file
from responders.decision import ActionType, Decision, Outcome, Why
from responders.guard import host_address
from responders.json_file import read_json, write_json
from responders.retry import failure
from responders.text import visible

_MODE = 0o640  # it names clients: for the gateway's group
_MAX_RATE_PER_S = 1e9  # larger limits nothing


class _Hold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    decision: str
    incident: str
    rate_per_s: float
    until: float


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a gateway needs, the strictest hold's figures; and every hold, for us."""

    rate_per_s: float
    until: float
    decision: str
    holds: tuple[_Hold, ...]


_Table = dict[str, dict[str, _Hold]]  # subject → decision → hold


class ThrottleAction:
    """Keeps ``{"client:ID": {"rate_per_s": …, "until": …, "decision": …, "holds": […]}}`` at ``path``.

    Two decisions on one subject: the lower rate counts while it lasts. The file is ours alone: one of another form is
    left as it is, and the action fails. The folder of ``path`` must exist; a symlink at ``path`` is refused.
    """

    type: ClassVar[ActionType] = ActionType.THROTTLE

    def __init__(self, path: Path) -> None:
        self._path = path

    def plan(self, decision: Decision) -> str:
        ttl = "" if decision.ttl_s is None else f" for {decision.ttl_s:g} s"
        rate_per_s = _rate_per_s(decision)
        rate = "an invalid rate" if rate_per_s is None else f"{rate_per_s:g} requests/s"
        return f"would throttle {visible(_subject(decision), 100)} to {rate}{ttl} in {self._path}"

    def apply(self, decision: Decision, now: float) -> Outcome:
        rate_per_s = _rate_per_s(decision)
        if decision.scope not in ("client", "ip") or decision.ttl_s is None:
            return Outcome(ok=False, why=Why.INVALID_TARGET, detail="needs a client or address and a time to live")
        if rate_per_s is None:
            return Outcome(ok=False, why=Why.INVALID_TARGET, detail="rate_per_s must be a positive number")
        hold = _Hold(decision.id, decision.incident_id, rate_per_s, now + decision.ttl_s)
        try:
            return self._hold(_subject(decision), hold, now)
        except OSError as error:
            return failure(error)

    def verify(self, decision: Decision, undo: dict[str, Any]) -> bool:  # noqa: ARG002 - the file says it all
        return decision.id in self._read().get(_subject(decision), {})

    def revert(self, decision: Decision, undo: dict[str, Any], now: float) -> Outcome:  # noqa: ARG002 - as above
        """End this decision's hold; the subject stays throttled if another decision holds it."""
        try:
            with atomic_file.locked(self._path):
                table = self._read()
                if table.get(_subject(decision), {}).pop(decision.id, None) is None:
                    return Outcome(ok=True, why=Why.ALREADY_SO, detail="not in the file")
                self._write(table, now)
        except OSError as error:
            return failure(error)
        return Outcome(ok=True, why=Why.DONE)

    def _hold(self, subject: str, hold: _Hold, now: float) -> Outcome:
        undo = {"subject": subject}
        with atomic_file.locked(self._path):
            table = self._read()
            present = table.get(subject, {}).get(hold.decision)
            if present is None or present.until < hold.until:  # a retry, claimed anew, may outlast the first try
                table.setdefault(subject, {})[hold.decision] = hold
                self._write(table, now)
        why = Why.DONE if present is None else Why.ALREADY_SO
        return Outcome(ok=True, why=why, detail=f"{hold.rate_per_s:g} requests/s", undo=undo)

    def _read(self) -> _Table:
        entries = read_json(self._path, dict[str, _Entry]) or {}
        return {subject: {h.decision: h for h in entry.holds} for subject, entry in entries.items()}

    def _write(self, table: _Table, now: float) -> None:
        entries = {}
        for subject, by_decision in table.items():
            # What should have ended goes: nobody else would lift a throttle whose ledger was lost.
            holds = tuple(h for h in by_decision.values() if h.until > now)
            if holds:
                strictest = min(holds, key=lambda h: (h.rate_per_s, -h.until))
                entries[subject] = _Entry(strictest.rate_per_s, strictest.until, strictest.decision, holds)
        write_json(self._path, entries, _MODE)


def _rate_per_s(decision: Decision) -> float | None:
    rate = decision.params.get("rate_per_s")
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate <= _MAX_RATE_PER_S:
        return None
    return float(rate)


def _subject(decision: Decision) -> str:
    """``client:ID`` or ``ip:ADDRESS``, the address in its one normal form where it is one."""
    value = decision.value
    if decision.scope == "ip":
        with contextlib.suppress(ValueError):
            value = str(host_address(value))
    return f"{decision.scope}:{value}"
