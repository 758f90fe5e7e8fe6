"""Redeliveries: once is once, at any checkpoint, until the horizon has passed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.dedupe import Dedupe


def test_second_time_is_no_first_time_and_models_are_apart() -> None:
    dedupe = Dedupe(600)
    assert dedupe.first("m", "a", 10, 0)
    assert not dedupe.first("m", "a", 11, 10)
    assert dedupe.first("n", "a", 11, 10)
    assert dedupe.first("ma", "", 11, 10)  # joins of model and id cannot collide


def test_after_the_horizon_an_id_may_come_again() -> None:
    dedupe = Dedupe(600)
    assert dedupe.first("m", "a", 10, 0)
    assert not dedupe.first("m", "a", 610, 610)
    assert dedupe.first("m", "a", 611, 611)


def test_state_is_bounded_by_the_horizon() -> None:
    dedupe = Dedupe(600)
    live: dict[str, bytes] = {}
    for step in range(100):
        for i in range(10):
            dedupe.first("m", f"{step}-{i}", step * 60.0, step * 60.0)
        for key, blob in dedupe.delta(step * 60.0).items():
            if blob is None:
                del live[key]
            else:
                live[key] = blob
    assert len(live) <= 12
    again = Dedupe(600)
    again.restore(live)
    assert not again.first("m", "99-3", 5940, 5940)


@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 30)), max_size=60),
    st.sets(st.integers(0, 60)),
    st.sets(st.integers(0, 60)),
)
def test_checkpoints_and_restarts_change_nothing(
    events: list[tuple[int, int]], checkpoints: set[int], restarts: set[int]
) -> None:
    """An unbroken run and one that is checkpointed and restarted at will agree on every event."""
    whole, broken = Dedupe(10), Dedupe(10)
    saved: dict[str, bytes | None] = {}
    watermark = 0.0
    for i, (name, ts) in enumerate(events):
        if i in checkpoints or i in restarts:
            saved |= broken.delta(watermark)
        if i in restarts:
            broken = Dedupe(10)
            broken.restore({k: v for k, v in saved.items() if v is not None})
        assert broken.first("m", str(name), ts, watermark) == whole.first("m", str(name), ts, watermark)
        watermark = max(watermark, ts)


def test_an_id_that_comes_again_late_after_the_horizon_is_kept_while_its_old_chunk_goes() -> None:
    """A whole recording played a second time into the same topic: every event is older than the horizon."""
    dedupe = Dedupe(600)
    assert dedupe.first("m", "a", 10, 0)
    dedupe.delta(10)
    assert dedupe.first("m", "a", 10, 1000)
    assert len(dedupe.delta(1000)) == 2
    assert not dedupe.first("m", "a", 10, 1100)  # and its redelivery is one
