"""What is over leaves the database; what is not stays."""

from __future__ import annotations

from pathlib import Path

from makers import finding

from monitor.incidents import Incidents
from monitor.retention import prune
from monitor.store import Store


def test_old_published_findings_go_and_nothing_else(tmp_path: Path) -> None:
    store = Store(tmp_path / "vedette.db")
    found = [finding(ts=float(ts)) for ts in range(10)]
    incident, _ = Incidents(1800.0).merge(found[0], "203.0.113.9")
    store.note(found, [incident])
    store.published(f.id for f in found if f.ts != 2.0)
    # smaller batches than there are findings to remove; the store is open, as beside a worker
    assert prune(tmp_path / "vedette.db", before_ts=7.0, batch=2) == 6
    assert [f.ts for f in store.findings()] == [2.0, 7.0, 8.0, 9.0]
    assert [f.ts for f in store.unpublished()] == [2.0]
    assert store.incident(incident.id) is not None
    assert prune(tmp_path / "vedette.db", before_ts=7.0, batch=2) == 0
    store.note([finding(ts=11.0)], [])
    store.close()
