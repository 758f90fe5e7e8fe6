"""All methods on one recording."""

from __future__ import annotations

from bench.quality.methods import METHODS, events_of
from bench.quality.recordings import recorded
from bench.quality.scores import Scored, score


def judged(data_set: str, seed: int) -> list[Scored]:
    """What each method says of the recording of a data set and seed, which is made first if it is not there."""
    recording = recorded(data_set, seed)
    truth, events = recording.truth, events_of(recording.attacked)
    return [score(data_set, seed, said, truth) for method in METHODS for said in method(recording, events)]
