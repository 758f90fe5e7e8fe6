"""A worker to be killed: carries out or takes back a fixed list of decisions and stores quarantined requests.

Run as ``python kill_worker.py FOLDER apply|expire``. Prints a line before and after every effect.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from actions_kit import decision, guard

from responders import file_registry
from responders.actions.block_ip import BlockIpAction
from responders.actions.quarantine import QuarantineAction
from responders.actions.rollback import RollbackAction
from responders.actions.throttle import ThrottleAction
from responders.contract import Action
from responders.decision import ActionType, Decision, Outcome
from responders.executor import Executor
from responders.guard import Allowlist
from responders.ledger import Ledger
from responders.quarantine_store import QuarantineStore

NOW = {"apply": 1000.0, "expire": 2000.0}
CLIENTS = 5
REQUESTS = 6


def decisions() -> list[Decision]:
    """Every other one ends before ``NOW["expire"]``."""
    made: list[Decision] = []
    for i in range(CLIENTS):
        for kind, value in (
            (ActionType.BLOCK_IP, f"203.0.113.{i}"),
            (ActionType.QUARANTINE, f"acct-{i}"),
            (ActionType.THROTTLE, f"acct-{i}"),
        ):
            ttl_s = 500.0 if len(made) % 2 else 5000.0
            made.append(decision(kind, value, id=f"act-{len(made)}", ttl_s=ttl_s, rate_per_s=1.0))
    made.append(decision(ActionType.ROLLBACK, "digits", id=f"act-{len(made)}", ttl_s=None))
    return made


def prepare(folder: Path) -> None:
    for name in ("1", "2"):
        file_registry.create_version(folder, "digits", name, {"w": name.encode()}, good=True, now=float(name))
    file_registry.set_current(folder, "digits", "2")


def request(client: int, i: int) -> tuple[str, bytes]:
    return f"r-{client}-{i}", json.dumps({"id": f"r-{client}-{i}", "inputs": [i] * 50}).encode()


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Told:
    """Says when an action is about to do something and when it has."""

    def apply(self, decision: Decision, now: float) -> Outcome:
        tell("before")
        outcome: Outcome = super().apply(decision, now)  # type: ignore[misc]  # a mixin: the action comes after it
        tell("after")
        return outcome

    def revert(self, decision: Decision, undo: dict[str, Any], now: float) -> Outcome:
        tell("before")
        outcome: Outcome = super().revert(decision, undo, now)  # type: ignore[misc]  # as above
        tell("after")
        return outcome


class ToldBlock(Told, BlockIpAction): ...


class ToldQuarantine(Told, QuarantineAction): ...


class ToldThrottle(Told, ThrottleAction): ...


class ToldRollback(Told, RollbackAction): ...


def work(folder: Path, phase: str) -> None:
    ledger = Ledger(folder / "vedette.db")
    actions: list[Action] = [
        ToldBlock(folder / "blocklist.txt", Allowlist()),
        ToldQuarantine(folder / "quarantine"),
        ToldThrottle(folder / "throttle.json"),
        ToldRollback(folder),
    ]
    executor = Executor(ledger, {action.type: action for action in actions}, guard(), dry_run=False)
    executor.recover(NOW[phase])
    if phase == "apply":
        ledger.record(decisions(), NOW[phase])
    executor.step(NOW[phase])
    store = QuarantineStore(folder / "quarantine")
    for client in range(CLIENTS):
        for i in range(0, REQUESTS, 2):
            store.store("digits", f"client:acct-{client}", [request(client, i), request(client, i + 1)])
            tell("stored")
    ledger.close()


if __name__ == "__main__":
    work(Path(sys.argv[1]), sys.argv[2])
