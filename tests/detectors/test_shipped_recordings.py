"""On the recordings that ship: every attacker is found early and for what it does, and no honest client is found."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files

import numpy as np
import pytest

from detectors.baseline import Baseline
from detectors.batch import EventBatch
from detectors.calibration import calibrate
from detectors.finding import Attack, Finding, Severity
from detectors.panel import Panel
from monitor.columns import to_batches
from monitor.event import Event
from replay.labels import Labels, read_labels
from replay.recording import read_recording


def recorded(name: str) -> dict[str, EventBatch]:
    """Batches by model, each event once, in the file's order."""
    with as_file(files("replay") / "data" / name) as path:
        events = {(e.model, e.id): e for e in read_recording(path) if isinstance(e, Event)}
    return {batch.model: batch for batch in to_batches(list(events.values()))}


@cache
def labels() -> Labels:
    with as_file(files("replay") / "data" / "demo.labels.json") as path:
        return read_labels(path)


@cache
def baseline() -> Baseline:
    return calibrate(recorded("clean.jsonl.zst"), window_detectors=lambda _: ())[0]


@cache
def played() -> tuple[tuple[Finding, int], ...]:
    """Findings, each with the number of the client's query at which it was made; high ones divert."""
    found: list[tuple[Finding, int]] = []
    for model, batch in recorded("demo.jsonl.zst").items():
        findings: list[Finding] = []

        def on_finding(finding: Finding, findings: list[Finding] = findings) -> bool:
            findings.append(finding)
            return finding.severity.rank >= Severity.HIGH.rank

        panel = Panel(model, baseline().models[model], 0.01)
        for start in range(0, len(batch), 500):
            panel.step(batch.take(np.arange(start, min(start + 500, len(batch)))), on_finding)
        for finding in findings:
            mine = [i for i, c in zip(batch.ids, batch.clients, strict=True) if c == finding.subject.key]
            found.append((finding, mine.index(finding.evidence["at"]) + 1))
    return tuple(found)


def test_no_honest_client_is_found() -> None:
    honest = set(labels().honest())
    assert len(honest) > 30
    assert [f for f, _ in played() if f.subject.value in honest] == []


@pytest.mark.parametrize(("name", "queries"), [("hopskipjump", 20), ("knockoff", 60), ("pgd", 25)])
def test_attackers_are_found_within(name: str, queries: int) -> None:
    """PGD's queries are mixed with ordinary ones in this recording; the others' are not."""
    attackers = {client: kind for client, (kind, attack) in labels().attackers().items() if attack == name}
    assert attackers
    for client, kind in attackers.items():
        finding, at = next((f, at) for f, at in played() if f.subject.value == client)
        assert finding.attack is kind
        assert finding.severity is Severity.HIGH
        assert at <= queries


def test_nothing_is_found_for_what_it_is_not() -> None:
    kinds = {client: kind for client, (kind, _) in labels().attackers().items()}
    assert {(f.subject.value, f.attack) for f, _ in played()} == set(kinds.items())
    assert Attack.ABUSE not in {f.attack for f, _ in played()}
