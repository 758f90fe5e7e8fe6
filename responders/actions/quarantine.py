"""Quarantine a client: its requests to a model are diverted, kept as evidence, and seen by no detector."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import msgspec

from responders import atomic_file
from responders.decision import ActionType, Decision, Outcome, Why
from responders.json_file import read_json, write_json
from responders.quarantine_store import folder_name, private_folder
from responders.retry import failure
from responders.text import visible

MANIFEST: Final = "manifest.json"
_MODE: Final = 0o600
_KEPT_INCIDENTS: Final = 100


class _Hold(msgspec.Struct, frozen=True):
    incident: str
    since: float
    until: float


class _Manifest(msgspec.Struct):
    """The record's cover sheet. It outlives the quarantine: ``released`` says when the last hold ended."""

    model: str
    client: str
    state: Literal["open", "released"]
    opened_at: float
    released_at: float | None = None
    holds: dict[str, _Hold] = {}
    incidents: list[str] = []


class QuarantineAction:
    """Opens and releases records in ``directory``; ``QuarantineStore`` fills them.

    One folder per model and client key (``client:ID`` or ``ip:ADDRESS``), private to its owner. A client is
    quarantined while one decision holds it; releasing keeps what was stored. The folder's parent must exist.
    """

    type: ClassVar[ActionType] = ActionType.QUARANTINE

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def plan(self, decision: Decision) -> str:
        ttl = "" if decision.ttl_s is None else f" for {decision.ttl_s:g} s"
        return (
            f"would divert requests of {visible(_client(decision), 100)} to model {visible(decision.model, 60)}{ttl}"
            f" to {self._directory}"
        )

    def apply(self, decision: Decision, now: float) -> Outcome:
        if decision.scope not in ("client", "ip") or decision.ttl_s is None:
            return Outcome(ok=False, why=Why.INVALID_TARGET, detail="needs a client or address and a time to live")
        hold = _Hold(decision.incident_id, now, now + decision.ttl_s)
        try:
            return self._hold(decision, hold)
        except OSError as error:
            return failure(error)

    def verify(self, decision: Decision, undo: dict[str, Any]) -> bool:  # noqa: ARG002 - the manifest says it all
        manifest = self._read(self._path(decision.model, _client(decision)))
        return manifest is not None and decision.id in manifest.holds

    def revert(self, decision: Decision, undo: dict[str, Any], now: float) -> Outcome:  # noqa: ARG002 - as above
        """End this decision's hold; with the last hold the record is released. What was stored stays."""
        path = self._path(decision.model, _client(decision))
        try:
            if not path.parent.is_dir():
                return Outcome(ok=True, why=Why.ALREADY_SO, detail="no record")
            with atomic_file.locked(path):
                manifest = self._read(path)
                if manifest is None or manifest.holds.pop(decision.id, None) is None:
                    return Outcome(ok=True, why=Why.ALREADY_SO, detail="not quarantined by this decision")
                if not manifest.holds:
                    manifest.state, manifest.released_at = "released", now
                write_json(path, manifest, _MODE)
        except OSError as error:
            return failure(error)
        return Outcome(ok=True, why=Why.DONE)

    def is_quarantined(self, model: str, client: str, now: float) -> bool:
        """Is there an open record with time left? Read from disk, so it sees what another process did.

        Raises OSError if the record cannot be read.
        """
        manifest = self._read(self._path(model, client))
        return manifest is not None and any(hold.until > now for hold in manifest.holds.values())

    def _hold(self, decision: Decision, hold: _Hold) -> Outcome:
        client = _client(decision)
        path = self._path(decision.model, client)
        private_folder(private_folder(self._directory) / path.parent.name)
        undo = {"folder": path.parent.name}
        with atomic_file.locked(path):
            manifest = self._read(path) or _Manifest(decision.model, client, "open", hold.since)
            present = manifest.holds.get(decision.id)
            if present is not None and present.until >= hold.until:
                return Outcome(ok=True, why=Why.ALREADY_SO, detail="is quarantined", undo=undo)
            if manifest.state == "released":
                manifest.state, manifest.opened_at, manifest.released_at = "open", hold.since, None
            manifest.holds[decision.id] = hold
            others = [incident for incident in manifest.incidents if incident != hold.incident]
            manifest.incidents = [*others, hold.incident][-_KEPT_INCIDENTS:]
            write_json(path, manifest, _MODE)
        # A retry, claimed anew, may outlast the try that opened the record.
        return Outcome(ok=True, why=Why.DONE if present is None else Why.ALREADY_SO, detail="is quarantined", undo=undo)

    def _path(self, model: str, client: str) -> Path:
        return self._directory / folder_name(model, client) / MANIFEST

    def _read(self, path: Path) -> _Manifest | None:
        return read_json(path, _Manifest)


def _client(decision: Decision) -> str:
    """The client key, as events carry it."""
    return f"{decision.scope}:{decision.value}"
