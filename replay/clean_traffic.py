"""Recorded clean traffic, read for calibration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from detectors.batch import EventBatch
from monitor.columns import to_batches
from monitor.errors import UserError
from monitor.event import Event
from replay.recording import read_recording


@dataclass(frozen=True, slots=True)
class CleanTraffic:
    """``batches`` by model, in event-time order; redelivered events are counted once."""

    batches: dict[str, EventBatch]
    events: int
    clients: int
    bad: int


def clean_batches(paths: Iterable[Path]) -> CleanTraffic:
    """All events of the recordings, by model. Raises UserError if a model's rows have different shapes."""
    events: dict[tuple[str, str], Event] = {}
    bad = 0
    for path in paths:
        for item in read_recording(path):
            if isinstance(item, Event):
                events.setdefault((item.model, item.id), item)
            else:
                bad += 1
    ordered = sorted(events.values(), key=lambda e: e.ts)
    batches: dict[str, EventBatch] = {}
    for batch in to_batches(ordered):
        if batch.model in batches:
            raise UserError(
                f"model {batch.model!r} has rows of different shapes or numbers of scores in the clean traffic: "
                f"{batches[batch.model].shape} and {batch.shape}; calibrate on one kind of request"
            )
        batches[batch.model] = batch
    return CleanTraffic(batches, len(ordered), len({e.client for e in ordered}), bad)
