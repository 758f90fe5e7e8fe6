"""Shared by the stream tests: denser recordings, and what an in-process replay finds in them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import numpy as np
import pytest

from detectors.batch import FloatArray
from detectors.calibration import calibrate
from detectors.finding import Finding
from monitor.codec import encode_json
from monitor.core import load_core
from monitor.event import Event
from monitor.settings import Detection, Response, Settings, Windows
from replay.clean_traffic import clean_batches
from replay.demo.workspace import shipped
from replay.in_process import Outcome, replay_in_process
from replay.schedule import Record

#: The demo's ten minutes so many times as dense, so that playing them as recorded takes twenty seconds.
SQUEEZE = 30.0
SHORT_WINDOWS = {"size_s": 2.0, "grace_s": 1.0}


@pytest.fixture(scope="session")
def short_baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clean traffic as dense as ``short_events``."""
    path = tmp_path_factory.mktemp("baseline") / "short.vdb"
    clean = {
        model: dataclasses.replace(batch, ts=_squeezed(batch.ts))
        for model, batch in clean_batches([shipped("clean.jsonl.zst")]).batches.items()
    }
    calibrate(clean, window_s=SHORT_WINDOWS["size_s"])[0].save(path)
    return path


@pytest.fixture(scope="session")
def short_events(events: list[Event]) -> list[Event]:
    """The same traffic thirty times as dense."""
    ts = _squeezed(np.array([e.ts for e in events]))
    return [msgspec.structs.replace(e, ts=t) for e, t in zip(events, ts.tolist(), strict=True)]


def _squeezed(ts: FloatArray) -> FloatArray:
    start = ts.min()
    return np.asarray(start + (ts - start) / SQUEEZE)


def records(events: list[Event]) -> list[Record]:
    return [Record(e.ts, e.client.encode(), encode_json(e)) for e in events]


def in_process(baseline: Path, events: list[Event], windows: dict[str, float] | None = None) -> Outcome:
    settings = Settings(
        detection=Detection(baseline=str(baseline)),
        response=Response(mode="enforce"),
        windows=Windows(**(windows or {})),
    )
    return replay_in_process(events, load_core(settings))


@pytest.fixture(scope="session")
def expected(baseline: Path, events: list[Event]) -> Outcome:
    return in_process(baseline, events)


@pytest.fixture(scope="session")
def expected_short(short_baseline: Path, short_events: list[Event]) -> list[Finding]:
    return in_process(short_baseline, short_events, SHORT_WINDOWS).findings
