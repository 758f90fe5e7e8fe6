"""The pipeline: one verdict per event, and the same outcome and state however the stream is cut, saved or swept."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from monitor.event import Event
from monitor.pipeline import PartitionPipeline
from monitor.step import Verdict
from responders.decision import ActionType
from tests.monitor.small_core import CLIENTS, MODELS, Seen, clean, core, event, run, traffic

#: Each example runs the real detectors: they are not shrunk, the seed names them well enough.
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
SOME = settings(max_examples=10, phases=UNSHRUNK)
FEWER = settings(max_examples=5, phases=UNSHRUNK)
seeds = st.integers(0, 10_000)
cuts = st.lists(st.integers(0, 120), max_size=12)
#: A quarantine that ends within a batch, one that ends between, one that does not end.
lasts = st.sampled_from([2.0, 15.0, 3600.0])


def attack(n: int, client: str = "client:eve", start: float = 1_763_700_000.0, step_s: float = 0.5) -> list[Event]:
    """Near copies of one image."""
    rng = np.random.default_rng(5)
    image = clean().x[3]
    copies = [image[None] + rng.normal(0, 0.004, (1, 64)).astype(np.float32) for _ in range(n)]
    return [event(i, start + i * step_s, client, x) for i, x in enumerate(copies)]


@SOME
@given(seeds, cuts, lasts)
def test_batches_change_nothing(seed: int, cuts: list[int], quarantine_s: float) -> None:
    events = traffic(seed)
    whole, parts = run(core(quarantine_s=quarantine_s), events), run(core(quarantine_s=quarantine_s), events, cuts)
    assert parts.said() == whole.said()
    assert parts.left() == whole.left()
    assert sum(whole.verdicts.values()) == len(events)


@FEWER
@given(seeds, lasts)
def test_one_event_at_a_time_is_the_same(seed: int, quarantine_s: float) -> None:
    events = traffic(seed, 60)
    whole = run(core(quarantine_s=quarantine_s), events)
    single = run(core(quarantine_s=quarantine_s), events, range(60))
    assert single.said() == whole.said()
    assert single.left() == whole.left()


@SOME
@given(seeds, cuts, lasts)
def test_a_restart_from_any_checkpoint_changes_nothing(seed: int, cuts: list[int], quarantine_s: float) -> None:
    events = traffic(seed)
    whole = run(core(quarantine_s=quarantine_s), events)
    again = run(core(quarantine_s=quarantine_s), events, cuts, restart=True)
    assert again.said() == whole.said()
    assert again.left() == whole.left()


@FEWER
@given(seeds, cuts, st.sampled_from([2.0, 15.0]), st.sampled_from([20.0, 3600.0]))
def test_sweeping_changes_no_verdict(seed: int, cuts: list[int], quarantine_s: float, ttl_s: float) -> None:
    """Events come late by up to 20 s, the shorter time to live: the sweep must not have forgotten what they need."""
    small = core(quarantine_s=quarantine_s, ttl_s=ttl_s)
    events = traffic(seed, disorder_s=20.0)
    newest = np.maximum.accumulate([e.ts for e in events])
    events = [e for e, ts in zip(events, newest.tolist(), strict=True) if e.ts >= ts - 20.0]
    assert run(small, events, cuts, sweep=True).said() == run(small, events).said()


@SOME
@given(seeds, cuts, st.lists(st.tuples(st.integers(0, 120), st.floats(-30, 30)), max_size=4))
def test_ticks_count_where_they_stand(seed: int, cuts: list[int], offsets: list[tuple[int, float]]) -> None:
    """Also ticks that break their promise: what they make late is late whatever the batches."""
    events = traffic(seed)
    ticks = sorted((at, events[min(at, len(events) - 1)].ts + s) for at, s in offsets)
    assert run(core(), events, cuts, ticks=ticks).left() == run(core(), events, ticks=ticks).left()
    whole = run(core(), events, ticks=ticks)
    assert run(core(), events, cuts, ticks=ticks).said() == whole.said()


def test_the_traffic_of_these_tests_has_everything_in_it() -> None:
    seen = [run(core(quarantine_s=2.0), traffic(seed)) for seed in range(5)]
    assert all(sum(s.verdicts[v.value] for s in seen) for v in Verdict)
    assert {f.model for s in seen for f in s.findings} == set(MODELS)
    diverted = [s.verdicts["diverted"] for s in seen]
    longer = [run(core(), traffic(seed)).verdicts["diverted"] for seed in range(5)]
    assert sum(longer) > sum(diverted) > 0  # some diversions end, some clients are diverted again


@FEWER
@given(seeds, st.randoms(use_true_random=False))
def test_each_client_has_its_own_order_and_no_other(seed: int, random: object) -> None:
    """Clients that do not hit the same lines at once owe one another nothing: their arrival may be interleaved."""
    mine = [attack(12, client, step_s=1.0) for client in CLIENTS[:3]]
    mine = [[msgspec.structs.replace(e, id=f"{i}-{e.id}") for e in events] for i, events in enumerate(mine)]
    order = np.random.default_rng(seed).permutation(np.repeat(np.arange(3), 12))
    queues = [iter(events) for events in mine]
    mixed = run(core(), [next(queues[i]) for i in order.tolist()])
    alone = run(core(), [e for events in mine for e in events])
    assert len(alone.findings) >= 3
    assert mixed.findings == alone.findings
    assert mixed.diverted == alone.diverted


def test_an_attack_is_diverted_from_its_next_event_on_until_the_quarantine_ends() -> None:
    events = attack(40)
    seen = run(core(quarantine_s=5.0), events)
    first = seen.findings[0]
    diverted = sorted(ts for _, _, ts in seen.diverted if ts < first.ts + 5.0)
    assert diverted == [e.ts for e in events if first.ts < e.ts < first.ts + 5.0]
    assert len(seen.findings) > 1  # it went on, and was found again
    assert {d.type for d in seen.decisions} == {ActionType.QUARANTINE, ActionType.BLOCK_IP, ActionType.NOTIFY}


def test_a_dry_run_decides_as_if_and_diverts_nobody() -> None:
    seen = run(core("dry-run"), attack(40))
    assert seen.findings
    assert not seen.diverted
    assert seen.verdicts["diverted"] == 0
    assert {d.simulated for d in seen.decisions if d.type is not ActionType.NOTIFY} == {True}


def test_the_allowlisted_are_found_and_left_alone() -> None:
    seen = run(core(allowed=("eve",)), attack(40))
    assert seen.findings
    assert {d.type for d in seen.decisions} == {ActionType.NOTIFY}
    assert not seen.diverted


@pytest.mark.parametrize("restarted", [False, True])
def test_release_ends_a_diversion(restarted: bool) -> None:
    events = attack(60)
    pipeline = PartitionPipeline(core(), {})
    pipeline.process(events[:40])
    state = {k: v for k, v in pipeline.delta().items() if v is not None}
    assert any(key.startswith("divert/") for key in state)
    pipeline.release("digits", "client:somebody-else")
    assert pipeline.process(events[40:41]).verdicts[Verdict.DIVERTED] == 1
    pipeline.release("digits", "client:eve")
    if restarted:
        for key, blob in pipeline.delta().items():
            state[key] = blob  # type: ignore[assignment]  # those that are gone are dropped below
        pipeline = PartitionPipeline(core(), {k: v for k, v in state.items() if v is not None})
    assert pipeline.process(events[41:42]).verdicts[Verdict.DIVERTED] == 0


def test_ended_diversions_leave_the_state() -> None:
    events = attack(40)
    small = core(quarantine_s=5.0, ttl_s=20.0)
    seen = run(small, [*events, event(99, events[-1].ts + 100.0, "client:other", clean().x[:1])], [39], sweep=True)
    assert not [key for _, key in seen.state if key.startswith("divert/")]


def test_a_stronger_reason_never_shortens_a_quarantine() -> None:
    """Two findings at one event with quarantines of different lengths: the longer one holds."""
    first = run(core(), attack(40)).findings[0]
    pipeline = PartitionPipeline(core(), {})
    rows = attack(1)
    pipeline.process(rows)
    key = "digits\x1fclient:eve"
    pipeline._diverted_until[key] = first.ts + 9_999.0
    pipeline.process(attack(40)[1:])
    assert pipeline._diverted_until[key] == first.ts + 9_999.0


def test_an_address_is_that_of_the_request_that_crossed() -> None:
    """Somebody else's earlier request with the same id, past the dedupe horizon, does not get its address blocked."""
    events = attack(40)
    at = run(core(), events).findings[0].evidence["at"]
    innocent = event(7, events[0].ts - 1000.0, "client:bob", clean().x[:1], id=at, client_ip="192.0.2.99")
    seen = run(core(), [innocent, *events])
    assert seen.findings[0].evidence["at"] == at
    assert {d.value for d in seen.decisions if d.type is ActionType.BLOCK_IP} == {events[0].client_ip}


def test_names_do_not_meet_in_state_keys() -> None:
    """Clients and models whose names hold separators each keep a state of their own."""
    whos = [("digits", "client:a/b"), ("a/digits", "client:b"), ("digits", "client:population"), ("digits", "client:b")]
    events = [event(i, 1e9 + i, client, clean().x[i : i + 1], model=model) for i, (model, client) in enumerate(whos)]
    seen: Seen = run(core(), events)
    assert sorted((model, client) for _, model, client in seen.remembered()) == sorted(whos)


def test_rows_of_a_shape_or_model_without_a_baseline_are_unscored() -> None:
    odd = event(0, 1e9, "client:a", np.zeros((2, 16), np.float32), shape=(4, 4))
    unknown = event(1, 1e9, "client:a", clean().x[:1], model="new")
    seen = run(core(), [odd, unknown, event(2, 1e9, "client:a", clean().x[:2])])
    assert seen.verdicts == {"unscored": 2, "clean": 1}
