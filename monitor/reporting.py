"""Keeps what people see of incidents up to date: messages in the outbox and the report files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from monitor.incidents import Incident
from monitor.response import Response
from monitor.settings import Settings
from monitor.store import Mark, Store
from monitor.views import IncidentStatus, notice, report_json, report_markdown, status_of
from responders import atomic_file
from responders.notice import Notice
from responders.record import ActionRecord


class Reporting:
    """Writes ``incidents/ID.json`` and ``.md``, and refreshes messages, for every incident named as changed."""

    def __init__(self, settings: Settings, data: Path, store: Store, response: Response) -> None:
        self._settings = settings
        self._folder = data / "incidents"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._store = store
        self._response = response
        self._stale: set[str] = set()
        self._unresolved: dict[str, float] = {}

    def changed(self, incident_ids: Iterable[str]) -> None:
        """These incidents, or their actions, are not as they were."""
        self._stale.update(incident_ids)

    def update(self, watermark: float) -> None:
        """Bring messages and reports of changed incidents, and of those that have gone quiet, up to date."""
        quiet_s = self._settings.response.resolve_after_s
        todo = self._stale | {i for i, seen in self._unresolved.items() if watermark - seen > quiet_s}
        for incident_id in sorted(todo):
            found = self._store.incident(incident_id)
            if found is None:
                self._stale.discard(incident_id)
                continue
            incident, mark = found
            actions = self._response.ledger.find(incident_id=incident_id)
            status = status_of(incident, actions, mark, watermark, quiet_s)
            if status in (IncidentStatus.OPEN, IncidentStatus.CONTAINED):
                self._unresolved[incident_id] = incident.last_seen
            else:
                self._unresolved.pop(incident_id, None)
            self._write(incident, actions, status)
            self._response.outbox.refresh(self._notice(incident, actions, mark, status), self._response.clock())
            self._stale.discard(incident_id)  # not before: what fails is tried again

    def notice_for(self, incident_id: str) -> Notice | None:
        """The message about an incident as it is now; None if there is none."""
        found = self._store.incident(incident_id)
        if found is None:
            return None
        incident, mark = found
        actions = self._response.ledger.find(incident_id=incident_id)
        quiet_s = self._settings.response.resolve_after_s
        status = status_of(incident, actions, mark, incident.last_seen, quiet_s)
        return self._notice(incident, actions, mark, status)

    def _notice(self, incident: Incident, actions: list[ActionRecord], mark: Mark, status: IncidentStatus) -> Notice:
        return notice(incident, actions, mark, status, self._settings.response.mode == "dry-run")

    def _write(self, incident: Incident, actions: list[ActionRecord], status: IncidentStatus) -> None:
        self._replace(f"{incident.id}.json", report_json(incident, actions, status))
        self._replace(f"{incident.id}.md", report_markdown(incident, actions, status).encode("utf-8", "replace"))

    def _replace(self, name: str, report: bytes) -> None:
        # Every report is written anew when a worker begins to respond, so none needs the disk to be waited for.
        atomic_file.write(self._folder / name, report, 0o600, durable=False)
