"""What methods say of one recording."""

from __future__ import annotations

from collections.abc import Sequence

from bench.quality.methods import METHODS, Method, events_of, vedette
from bench.quality.recordings import recorded
from bench.quality.scores import Scored, score


def judged(data_set: str, seed: int) -> list[Scored]:
    """What each method says of the recording of a data set and seed, which is made first if it is not there."""
    return _judged(METHODS, data_set, seed)


def judged_alone(data_set: str, seed: int) -> list[Scored]:
    """What Vedette says of it."""
    return _judged((vedette,), data_set, seed)


def _judged(methods: Sequence[Method], data_set: str, seed: int) -> list[Scored]:
    recording = recorded(data_set, seed)
    truth, events = recording.truth, events_of(recording.attacked)
    return [score(data_set, seed, said, truth) for method in methods for said in method(recording, events)]
