"""Golden scenarios: a folder each, with a configuration, timed events, and what must come of them.

``config.yaml`` is laid over the defaults, ``events.jsonl.zst`` is a recording (cut out of the shipped one), and
``expected.json`` lists findings, decisions and verdicts. Everything runs on event time. ``make golden`` writes those
files anew, for you to read what has changed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from detectors.baseline import Baseline
from monitor.config import parse
from monitor.core import Core
from replay.in_process import replay_in_process
from replay.recording import read_recording

FOLDERS = sorted(p.parent for p in Path(__file__).parent.glob("*/expected.json"))


def outcome(folder: Path, baseline: Path) -> dict[str, Any]:
    """What comes of a scenario, in the form of ``expected.json``."""
    settings = parse(yaml.safe_load((folder / "config.yaml").read_text()) or {}, str(folder))
    result = replay_in_process(read_recording(folder / "events.jsonl.zst"), Core(settings, Baseline.load(baseline)))
    return {
        "findings": [
            f"{f.attack.value} by {f.subject.key} on {f.model}: {f.detector}, {f.severity.value}"
            for f in sorted(result.findings, key=lambda f: (f.ts, f.id))
        ],
        "decisions": [
            f"{d.type.value} {d.scope}{'' if d.scope == 'incident' else f' {d.value}'}"
            f"{f' for {d.ttl_s:g} s' if d.ttl_s else ''}{', simulated' if d.simulated else ''}"
            for d in sorted(result.decisions, key=lambda d: (d.decided_ts, d.type, d.value))
        ],
        "verdicts": {verdict: n for verdict, n in sorted(result.verdicts.items()) if n},
    }


def test_there_are_scenarios() -> None:
    assert len(FOLDERS) >= 5


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_scenario(folder: Path, baseline: Path) -> None:
    seen, expected = outcome(folder, baseline), folder / "expected.json"
    if os.environ.get("VEDETTE_GOLDEN") == "write":
        expected.write_text(json.dumps(seen, indent=2) + "\n")
    assert seen == json.loads(expected.read_text())
