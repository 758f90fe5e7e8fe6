"""Decisions, stand-in actions and crashes for the tests of the response room."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from responders.contract import Action
from responders.decision import ActionType, Decision, Outcome, Status, Why
from responders.executor import Executor
from responders.guard import Allowlist, Guard, Limits
from responders.ledger import Ledger

FINAL = {Status.SIMULATED, Status.REFUSED, Status.FAILED, Status.REVERTED, Status.EXPIRED}
#: Every change of status there may be.
LEGAL: dict[Status | None, set[Status]] = {
    None: {Status.PENDING},
    Status.PENDING: {Status.APPLYING, Status.REVERTING, *FINAL} - {Status.FAILED},
    Status.APPLYING: {Status.APPLIED, Status.PENDING, Status.REVERTING, Status.FAILED, Status.REFUSED},
    Status.APPLIED: {Status.REVERTING},
    Status.REVERTING: {Status.REVERTING, Status.APPLIED, *FINAL},
    **{status: set[Status]() for status in FINAL},
}


def decision(
    kind: ActionType = ActionType.BLOCK_IP,
    value: str = "203.0.113.9",
    *,
    id: str = "act-1",
    scope: str = "",
    model: str = "digits",
    incident_id: str = "inc-1",
    ttl_s: float | None = 900.0,
    simulated: bool = False,
    **params: Any,
) -> Decision:
    usual = {ActionType.BLOCK_IP: "ip", ActionType.ROLLBACK: "model", ActionType.NOTIFY: "incident"}
    return Decision(
        id=id,
        type=kind,
        scope=scope or usual.get(kind, "client"),
        value=value,
        model=model,
        incident_id=incident_id,
        origin="policy",
        reason="test",
        decided_ts=50.0,
        ttl_s=ttl_s,
        simulated=simulated,
        params=params,
    )


def guard(
    limits: Limits = Limits(max_actions_per_hour=10_000),  # noqa: B008 - frozen
    clients: tuple[str, ...] = (),
    networks: tuple[str, ...] = (),
    clients_at: Mapping[str, int] | None = None,
) -> Guard:
    seen = clients_at or {}
    return Guard(limits, Allowlist(clients, networks), lambda address: seen.get(address, 0))


def executor(ledger: Ledger, *actions: Action, dry_run: bool = False, by: Guard | None = None) -> Executor:
    return Executor(ledger, {action.type: action for action in actions}, by or guard(), dry_run=dry_run)


def assert_log_is_whole(ledger: Ledger, action_id: str) -> None:
    """Each line goes on where the line before ended, by a legal change, up to what the record says."""
    log, record = ledger.log(action_id), ledger.get(action_id)
    assert record is not None
    before = None
    for entry in log:
        assert entry.from_status is before
        assert entry.to_status in LEGAL[before]
        before = entry.to_status
    assert before is record.status


def claim_all(path: Path, ids: list[str], won: SimpleQueue[str]) -> None:
    """A process that wants every action for itself; ``won`` gets the ids it claimed."""
    ledger = Ledger(path)
    ledger.record([decision(id=i) for i in ids], 1.0)
    for i in ids:
        record = ledger.get(i)
        assert record is not None
        if record.status is Status.PENDING and ledger.save(
            msgspec.structs.replace(record, status=Status.APPLYING), 2.0
        ):
            won.put(i)
    ledger.close()


class Crash(BaseException):
    """The process is gone. No ``except Exception`` and no ``except OSError`` may stop it."""


class MemoryAction:
    """An action on a set of ids, with faults to order: each call takes the next, ``ok`` when none is left.

    ``ok``, ``transient``, ``permanent`` and ``refused`` do what they say; ``raises`` raises before, ``torn`` reports a
    passing failure after the effect is there, ``lost`` reports success without effect, ``changed`` finds the effect
    taken over by somebody else, ``crash-before`` and ``crash-after`` the effect.
    """

    type: ClassVar[ActionType] = ActionType.BLOCK_IP

    def __init__(self) -> None:
        self.there: set[str] = set()
        self.changes: list[tuple[str, str]] = []
        self.since: dict[str, tuple[float, float | None]] = {}
        self.faults: list[str] = []

    def plan(self, decision: Decision) -> str:
        return f"would add {decision.id}"

    def apply(self, decision: Decision, now: float) -> Outcome:
        already = decision.id in self.there
        failed = self._fault(decision, "+", now)
        if failed is not None:
            return failed
        return Outcome(ok=True, why=Why.ALREADY_SO if already else Why.DONE, undo={"id": decision.id})

    def verify(self, decision: Decision, undo: dict[str, Any]) -> bool:
        return decision.id in self.there

    def revert(self, decision: Decision, undo: dict[str, Any], now: float) -> Outcome:
        already = decision.id not in self.there
        failed = self._fault(decision, "-", now)
        return failed or Outcome(ok=True, why=Why.ALREADY_SO if already else Why.DONE)

    def _fault(self, decision: Decision, sign: str, now: float) -> Outcome | None:
        fault = self.faults.pop(0) if self.faults else "ok"
        if fault == "crash-before":
            raise Crash
        if fault == "raises":
            raise RuntimeError("a bug in the action")
        if fault == "transient":
            return Outcome(ok=False, why=Why.TRANSIENT_ERROR, detail="disk full", retry=True)
        if fault == "permanent" and sign == "+" and decision.id not in self.there:
            return Outcome(ok=False, why=Why.PERMANENT_ERROR, detail="no such folder")
        if fault == "refused" and sign == "+" and decision.id not in self.there:
            return Outcome(ok=False, why=Why.NOTHING_TO_DO, detail="nothing to do")
        if fault == "changed" and sign == "-" and decision.id in self.there:
            self._set(decision, "-", now)
            return Outcome(ok=False, why=Why.CHANGED_SINCE, detail="somebody else's by now")
        if fault == "lost":
            return None
        self._set(decision, sign, now)
        if fault == "crash-after":
            raise Crash
        if fault == "torn":
            return Outcome(ok=False, why=Why.TRANSIENT_ERROR, detail="not made durable", retry=True)
        return None

    def _set(self, decision: Decision, sign: str, now: float) -> None:
        if (decision.id in self.there) != (sign == "+"):
            self.changes.append((decision.id, sign))
        if sign == "+":
            self.there.add(decision.id)
            self.since[decision.id] = (now, decision.ttl_s)
        else:
            self.there.discard(decision.id)


class _FileCalls:
    """Counts what the file system is asked to change or open, and ends the process, as it were, before the n-th."""

    events = frozenset({"open", "os.rename", "os.symlink", "os.remove", "os.mkdir", "os.truncate", "os.chmod"})

    def __init__(self) -> None:
        self.below = ""
        self.left: int | None = None

    def __call__(self, event: str, args: tuple[object, ...]) -> None:
        if self.left is None or event not in self.events or not str(args[0]).startswith(self.below):
            return
        if self.left == 0:
            self.left = None
            raise Crash
        self.left -= 1


_calls = _FileCalls()
sys.addaudithook(_calls)


@contextmanager
def crash_at_file_call(n: int, below: Path) -> Iterator[list[bool]]:
    """Crash before the n-th file call (from 0) below a folder; yields ``[True]`` afterwards if it came to that."""
    crashed = [False]
    _calls.below, _calls.left = str(below), n
    try:
        yield crashed
    except Crash:
        crashed[0] = True
    finally:
        _calls.left = None


def tree(folder: Path) -> dict[str, bytes | str]:
    """Every file's bytes and every symlink's target below a folder, locks left out."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file() and not name.endswith(".lock"):
            found[name] = path.read_bytes()
    return found
