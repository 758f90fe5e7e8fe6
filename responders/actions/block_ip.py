"""Block an address: a line in a text file that nginx, nftables or a script of yours reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from responders import atomic_file
from responders.blocklist import Blocklist, Hold
from responders.decision import ActionType, Decision, Outcome, Why
from responders.guard import Allowlist, host_address
from responders.retry import failure
from responders.text import visible

_MODE = 0o644  # web servers run as another user


class BlockIpAction:
    """Keeps our lines of the blocklist at ``path`` (format: ``responders.blocklist``), others' lines untouched.

    Two decisions on one address: it stays until the last of them ends. The folder of ``path`` must exist; a symlink at
    ``path`` is refused. Writers are serialised by a lock file beside it.
    """

    type: ClassVar[ActionType] = ActionType.BLOCK_IP

    def __init__(self, path: Path, allowlist: Allowlist) -> None:
        self._path = path
        self._allowlist = allowlist

    def plan(self, decision: Decision) -> str:
        ttl = "" if decision.ttl_s is None else f" for {decision.ttl_s:g} s"
        return f"would block {visible(decision.value, 60)}{ttl} in {self._path}"

    def apply(self, decision: Decision, now: float) -> Outcome:
        if decision.scope != "ip" or decision.ttl_s is None:
            return Outcome(ok=False, why=Why.INVALID_TARGET, detail="needs an address and a time to live")
        try:
            address = str(host_address(decision.value))
        except ValueError as error:
            return Outcome(ok=False, why=Why.INVALID_TARGET, detail=visible(str(error), 200))
        if self._allowlist.covers("ip", address):
            return Outcome(ok=False, why=Why.ALLOWLISTED, detail=f"{address} is on the allowlist")
        hold = Hold(decision.id, decision.incident_id, now + decision.ttl_s)
        try:
            return self._hold(address, hold, now)
        except OSError as error:
            return failure(error)

    def verify(self, decision: Decision, undo: dict[str, Any]) -> bool:  # noqa: ARG002 - the file says it all
        try:
            address = str(host_address(decision.value))
        except ValueError:
            return False
        return Blocklist(atomic_file.read(self._path) or b"").hold(address, decision.id) is not None

    def revert(self, decision: Decision, undo: dict[str, Any], now: float) -> Outcome:  # noqa: ARG002 - as above
        """End this decision's hold. A line that somebody removed or made their own is no longer ours to touch."""
        try:
            with atomic_file.locked(self._path):
                blocklist = Blocklist(atomic_file.read(self._path) or b"")
                if not blocklist.drop(decision.id):
                    return Outcome(ok=True, why=Why.ALREADY_SO, detail="not on the list")
                blocklist.drop_expired(now)
                atomic_file.write(self._path, blocklist.render(), _MODE)
        except OSError as error:
            return failure(error)
        return Outcome(ok=True, why=Why.DONE)

    def _hold(self, address: str, hold: Hold, now: float) -> Outcome:
        undo = {"address": address}
        with atomic_file.locked(self._path):
            blocklist = Blocklist(atomic_file.read(self._path) or b"")
            present = blocklist.hold(address, hold.decision)
            if present is not None and present.until >= hold.until:
                return Outcome(ok=True, why=Why.ALREADY_SO, detail=f"{address} is on the list", undo=undo)
            blocklist.drop_expired(now)
            blocklist.add(address, hold)
            atomic_file.write(self._path, blocklist.render(), _MODE)
        # A retry, claimed anew, may outlast the try that put the address there.
        why = Why.DONE if present is None else Why.ALREADY_SO
        return Outcome(ok=True, why=why, detail=f"{address} is on the list", undo=undo)
