"""Overload: up when behind, down when caught up, no flapping; samples that are fair."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.overload import CALM_SHARE, MAX_HOLD_DWELLS, PLANS, Load, Overload, Pace, sampled
from monitor.settings import Overload as OverloadSettings

SETTINGS = OverloadSettings()
#: Records a second that a worker handles at each level.
CAPACITY = (1000, 2000, 3000, 6000)


@dataclass
class Worker:
    """A worker and its queue, a second at a time."""

    overload: Overload = field(default_factory=lambda: Overload(SETTINGS))
    now_s: float = 0.0
    backlog: float = 0.0
    levels: list[int] = field(default_factory=list)
    #: (second, level before, level after, seconds behind)
    changes: list[tuple[float, int, int, float]] = field(default_factory=list)

    def run(self, arrivals: Iterable[float]) -> None:
        for arriving in arrivals:
            level = self.overload.plan.level
            capacity = CAPACITY[level]
            self.backlog = max(0.0, self.backlog + arriving - capacity)
            self.now_s += 1.0
            now_level = self.overload.look(Load(self.now_s, math.ceil(self.backlog), capacity)).level
            self.levels.append(now_level)
            if now_level != level:
                self.changes.append((self.now_s, level, now_level, math.ceil(self.backlog) / capacity))


def test_a_burst_is_caught_up_with_and_forgotten() -> None:
    worker = Worker()
    worker.run([500] * 60)
    assert set(worker.levels) == {0}
    worker.run([5000] * 60)
    assert max(worker.levels) >= 2
    worker.run([500] * 600)
    assert worker.backlog == 0
    assert worker.levels[-1] == 0
    ups = [after > before for _, before, after, _ in worker.changes]
    assert ups == sorted(ups, reverse=True), "first only up, then only down"


def test_a_small_backlog_changes_nothing() -> None:
    overload = Overload(SETTINGS)
    for second in range(100):
        assert overload.look(Load(second, 9999, 1000.0)).level == 0


@pytest.mark.parametrize(("behind_s", "level"), [(9.9, 0), (10, 1), (59, 1), (60, 2), (300, 3), (1e9, 3)])
def test_each_level_has_its_line(behind_s: float, level: int) -> None:
    assert Overload(SETTINGS).look(Load(0.0, math.ceil(behind_s * 1000), 1000.0)).level == level


@pytest.mark.parametrize("highest", [0, 1, 2, 3])
def test_the_highest_level_is_the_operators(highest: int) -> None:
    overload = Overload(OverloadSettings(max_level=highest))  # type: ignore[arg-type] # a literal
    assert [overload.look(Load(t, 10**9, 1.0)).level for t in range(20)] == [highest] * 20


def test_what_is_handled_fresh_is_not_late() -> None:
    """A deep queue a moment old is a burst; only when it has grown old is the worker behind."""
    overload = Overload(SETTINGS)
    assert overload.look(Load(0.0, 10**6, 1000.0, age_s=1.0)).level == 0
    assert overload.look(Load(1.0, 10**6, 1000.0, age_s=-5.0)).level == 0
    assert overload.look(Load(2.0, 10**6, 1000.0, age_s=30.0)).level == 1
    # old records alone, as after a night of silence, are no backlog
    assert overload.look(Load(100.0, 0, 1000.0, age_s=36000.0)).level == 0


def test_nothing_is_concluded_before_anything_is_handled() -> None:
    overload = Overload(SETTINGS)
    assert overload.look(Load(0.0, 10**6, 0.0)).level == 0
    assert overload.look(Load(1.0, 10**6, 1000.0)).level == 3
    assert overload.look(Load(90.0, 10**6, float("nan"))).level == 3, "a stalled worker stays as it is"


def test_load_that_only_a_higher_level_carries_does_not_swing_fast() -> None:
    """Two hours at 1.5 times what level 0 carries: the level is held longer and longer, up to its bound."""
    worker = Worker()
    worker.run([1500] * 7200)
    up_s = [at for at, before, after, _ in worker.changes if after > before]
    hold_s = MAX_HOLD_DWELLS * SETTINGS.dwell_s
    assert len(worker.changes) <= 2 * (7200 / hold_s + math.log2(MAX_HOLD_DWELLS) + 1)
    assert min(np.diff(up_s)[-3:]) >= hold_s
    assert worker.backlog < 1000 * SETTINGS.far_behind_s


_curves = st.lists(st.tuples(st.integers(1, 300), st.floats(0, 5900)), min_size=1, max_size=12)


@settings(max_examples=60)
@given(_curves)
def test_any_load(curve: list[tuple[int, float]]) -> None:
    """Changes are a dwell apart; up only when behind, down only when caught up; 0 again once there is nothing."""
    worker = Worker()
    worker.run(rate for seconds, rate in curve for _ in range(seconds))
    for _, before, after, behind_s in worker.changes:
        lines = (0.0, SETTINGS.behind_s, SETTINGS.far_behind_s, SETTINGS.lost_s)
        if after > before:
            assert behind_s >= lines[after]
        else:
            assert after == before - 1
            assert behind_s < CALM_SHARE * SETTINGS.behind_s
    times = [at for at, *_ in worker.changes]
    assert all(np.diff(times) >= SETTINGS.dwell_s)
    worker.run([0.0] * int(worker.backlog / CAPACITY[0] + 1))
    worker.run([0.0] * int(3 * MAX_HOLD_DWELLS * SETTINGS.dwell_s + 1))
    assert worker.levels[-1] == 0


def test_plans_only_ever_leave_out_more() -> None:
    assert [p.level for p in PLANS] == [0, 1, 2, 3]
    for less, more in itertools.pairwise(PLANS):
        assert more.windows_one_in >= less.windows_one_in
        assert more.rows_one_in >= less.rows_one_in
        assert more.window_checks <= less.window_checks
    assert [bool(p.note) for p in PLANS] == [False, True, True, True]
    assert PLANS[3].note == "overload level 3: windows count 1 row in 16, costly row detectors see 1 row in 16"


def test_the_pace_follows_the_work() -> None:
    pace = Pace(half_life_s=5.0)
    assert pace.rate == 0.0
    pace.handled(1000, 0.5)
    assert pace.rate == pytest.approx(2000)
    for _ in range(100):
        pace.handled(1000, 1.0)
    assert pace.rate == pytest.approx(1000, rel=0.01)


@pytest.mark.parametrize("one_in", [2, 4, 16])
@pytest.mark.parametrize(
    "name", ["r-{}", "{:08d}", "{}0", "{:x}", "acct-{}/é", "{:0300d}", "r-{0}-{0}"], ids=lambda name: name[:8]
)
def test_samples_are_fair_whatever_ids_look_like(name: str, one_in: int) -> None:
    """The share is binomial: within five standard deviations, over all ids and over each residue of the counter."""
    n = 40_000
    chosen = sampled([name.format(i) for i in range(n)], one_in)
    p = 1 / one_in

    def fair(part: np.ndarray) -> bool:  # type: ignore[type-arg] # booleans
        return bool(abs(part.mean() - p) <= 5 * math.sqrt(p * (1 - p) / len(part)))

    assert fair(chosen)
    for stride in (2, 7, 10, 16):
        assert all(fair(chosen[start::stride]) for start in range(stride))


def test_random_ids_are_chosen_independently() -> None:
    """Neighbours: the four outcomes of pairs are as often as their product says (chi squared, 3 degrees, p 1e-6)."""
    rng = np.random.default_rng(5)
    chosen = sampled([f"{i:032x}" for i in rng.integers(0, 2**63, 40_000).tolist()], 4).astype(int)
    pairs = np.bincount(2 * chosen[::2] + chosen[1::2], minlength=4)
    expected = len(chosen) / 2 * np.array([9, 3, 3, 1]) / 16
    assert ((pairs - expected) ** 2 / expected).sum() < 30.7


@given(st.lists(st.text(max_size=20), max_size=30), st.integers(1, 20))
def test_samples_are_of_ids_alone_and_lie_in_one_another(ids: list[str], one_in: int) -> None:
    whole = sampled(ids, one_in)
    assert whole.tolist() == [bool(sampled([i], one_in)[0]) for i in ids]
    assert not (sampled(ids, 4 * one_in) & ~whole).any()
    assert sampled(ids, 1).all()


def test_samples_are_the_same_everywhere() -> None:
    """On any machine and version: another worker must leave out the same rows."""
    chosen = sampled([f"r-{i}" for i in range(64)], 4)
    assert np.flatnonzero(chosen).tolist() == [
        3,
        6,
        7,
        8,
        9,
        10,
        13,
        16,
        18,
        20,
        30,
        34,
        35,
        36,
        39,
        41,
        42,
        44,
        47,
        49,
        50,
        57,
        58,
        62,
    ]


def test_a_sample_needs_a_size() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        sampled(["a"], 0)
