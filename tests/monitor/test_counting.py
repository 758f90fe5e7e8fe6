"""Rows that wait to be counted together: nobody can tell that they wait, and there are never very many."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from monitor import counting
from monitor.bands import BandSlot
from monitor.event import Event
from monitor.overload import PLANS
from monitor.pipeline import PartitionPipeline
from tests.monitor.small_core import clean, core, event, traffic

#: What is done between two steps besides asking what is to be told.
LOOKS = ("", "", "idle", "save", "restart")

places = st.integers(0, 120)


def played(events: list[Event], looks: dict[int, str], plans: dict[int, int], ticks: dict[int, float]) -> list[object]:
    """All that a partition says and saves, with cuts wherever somebody looks or something changes."""
    small, said, state = core(quarantine_s=15.0), list[object](), dict[str, bytes]()
    pipeline = PartitionPipeline(small, {})
    edges = sorted({0, *looks, *plans, *ticks, len(events)})
    for begin, end in pairwise([edge for edge in edges if edge <= len(events)]):
        pipeline.plan = PLANS[plans.get(begin, pipeline.plan.level)]
        step = pipeline.process(events[begin:end], [(0, events[begin].ts + ticks[begin])] if begin in ticks else [])
        look = looks.get(end, "")
        said += [step.verdicts, step.spared, pipeline.late_rows, pipeline.announce(idle=look == "idle")]
        for told in pipeline.announce_bands(idle=look == "idle"):
            said += [list(told.parts(2)) if isinstance(told, BandSlot) else told]
        if look in ("save", "restart") or end == len(events):
            changes = pipeline.delta()
            said.append(changes)
            state = {key: blob for key, blob in (state | changes).items() if blob is not None}
        if look == "restart":
            pipeline = PartitionPipeline(small, state)
    return said


@settings(max_examples=25, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(
    st.integers(0, 10_000),
    st.dictionaries(places, st.sampled_from(LOOKS), max_size=12),
    st.dictionaries(places, st.integers(0, 3), max_size=3),
    st.dictionaries(places, st.floats(-30, 30), max_size=2),
    st.sampled_from([1.0, 40.0]),
    st.integers(2, 200),
)
def test_waiting_shows_nowhere(
    seed: int, looks: dict[int, str], plans: dict[int, int], ticks: dict[int, float], disorder_s: float, most: int
) -> None:
    """The same steps say and save the same to the byte, whether each is counted at once or many together."""
    events = traffic(seed, disorder_s=disorder_s)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "MOST_ROWS", 1)
        at_once = played(events, looks, plans, ticks)
        patch.setattr(counting, "MOST_ROWS", most)
        assert played(events, looks, plans, ticks) == at_once


def test_late_rows_are_counted_when_they_come() -> None:
    pipeline = PartitionPipeline(core(), {})
    x = clean().x[:1]
    pipeline.process([event(0, 1e9, "client:a", x), event(1, 1e9 - 20, "client:a", x), event(2, 1e9, "client:b", x)])
    assert pipeline.late_rows == 1


@pytest.mark.parametrize(("limit", "most"), [("MOST_ROWS", 50), ("MOST_VALUES", 50 * 64)])
def test_no_more_wait_than_may(monkeypatch: pytest.MonkeyPatch, limit: str, most: int) -> None:
    monkeypatch.setattr(counting, limit, most)
    pipeline = PartitionPipeline(core(), {})
    rows = clean().x[np.arange(400) % len(clean())]
    waiting = []
    for begin in range(0, 400, 20):
        some = [event(i, 1e9 + i / 1000, f"client:{i % 7}", rows[i : i + 1]) for i in range(begin, begin + 20)]
        pipeline.process(some)
        waiting.append(pipeline._counting._rows)
    assert max(waiting) == 40
    assert min(waiting) == 0
