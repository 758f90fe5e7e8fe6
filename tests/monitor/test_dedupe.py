"""Redeliveries: once is once, at any checkpoint, until the horizon has passed."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
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


class Plain:
    """The same, one event at a time and with a dictionary: what ``Dedupe`` must agree with."""

    def __init__(self, horizon_s: float) -> None:
        self._horizon_s = horizon_s
        self._seen: dict[tuple[str, str], float] = {}

    def first(self, model: str, event_id: str, ts: float, watermark: float) -> bool:
        seen_ts = self._seen.get((model, event_id))
        if seen_ts is not None and seen_ts >= watermark - self._horizon_s:
            return False
        self._seen[model, event_id] = max(ts, watermark)
        return True


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("mn"), st.integers(0, 12), st.integers(-40, 40)), max_size=12), max_size=20
    ),
    st.sets(st.integers(0, 20)),
)
@example([[("m", 1, 0), ("m", 2, 40), ("m", 1, 0), ("m", 1, 40), ("m", 3, 9), ("m", 1, 0)]], set())
def test_batches_of_any_cut_agree_with_one_event_at_a_time(
    batches: list[list[tuple[str, int, int]]], restarts: set[int]
) -> None:
    """Times jump about, so that events are late and ids come again within and after the horizon, also in one batch."""
    dedupe, plain = Dedupe(10), Plain(10)
    saved: dict[str, bytes] = {}
    now, watermark = 0.0, -np.inf
    for n, batch in enumerate(batches):
        models, ids, ts, before, expected = [], [], [], [], []
        for model, name, step in batch:
            models.append(model)
            ids.append(str(name))
            ts.append(now + step)
            before.append(watermark)
            expected.append(plain.first(model, str(name), ts[-1], watermark))
            watermark = max(watermark, ts[-1])
            now += 3
        assert dedupe.first_of(models, ids, np.array(ts, float), np.array(before, float)).tolist() == expected
        if n in restarts:
            for key, blob in dedupe.delta(watermark).items():
                if blob is None:
                    del saved[key]
                else:
                    saved[key] = blob
            dedupe = Dedupe(10)
            dedupe.restore(dict(reversed(saved.items())))


def run(dedupe: Dedupe, steps: int, step_s: float, events: int) -> tuple[int, int, int]:
    """Steps of events with a checkpoint each: most bytes held, most chunks alive, most changes of one checkpoint."""
    live: set[str] = set()
    held, chunks, changed = 0, 0, 0
    for step in range(steps):
        ts = np.linspace(step * step_s, (step + 1) * step_s, events, endpoint=False)
        names = [f"{step}-{i}" for i in range(events)]
        assert dedupe.first_of(["m"] * events, names, ts, np.concatenate([ts[:1], ts[:-1]])).all()
        changes = dedupe.delta(float(ts[-1]))
        live = (live | {k for k, v in changes.items() if v}) - {k for k, v in changes.items() if v is None}
        held, chunks, changed = max(held, dedupe.nbytes), max(chunks, len(live)), max(changed, len(changes))
    return held, chunks, changed


def test_memory_is_at_most_24_bytes_an_id_however_long_the_stream() -> None:
    remembered = 600 * 50
    held, _, _ = run(Dedupe(600.0), steps=3000, step_s=1.0, events=50)
    assert held <= 24 * remembered


def test_chunks_are_few_when_checkpoints_are_many() -> None:
    """A checkpoint each second of little traffic: chunks are of a size, or of a share of the horizon."""
    _, chunks, changed = run(Dedupe(600.0), steps=2400, step_s=1.0, events=5)
    assert chunks <= 18
    assert changed <= 3
    _, chunks, changed = run(Dedupe(600.0), steps=1500, step_s=1.0, events=100)
    assert chunks <= 600 * 100 / 1024 + 2
    assert changed <= 3


def test_a_day_replayed_in_a_few_checkpoints_keeps_what_the_horizon_needs() -> None:
    _, chunks, changed = run(Dedupe(600.0), steps=200, step_s=432.0, events=1000)
    assert chunks <= 4
    assert changed <= 3


def test_an_open_chunk_past_the_horizon_goes_and_the_next_begins_anew() -> None:
    dedupe = Dedupe(10)
    assert dedupe.first("m", "a", 0, 0)
    [name] = dedupe.delta(0)
    assert dedupe.first("m", "b", 100, 0)
    changes = dedupe.delta(100)
    assert changes.pop(name) is None
    again = Dedupe(10)
    again.restore({k: v for k, v in changes.items() if v is not None})
    assert not again.first("m", "b", 100, 100)
    assert again.first("m", "a", 0, 100)
