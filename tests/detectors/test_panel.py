"""The panel: findings do not depend on how the stream was cut, stored or swept; diverted clients leave no trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from row_traffic import TABLE, batch, bisection, cut, foreign, honest, later, merged, noisy

from detectors.baseline import BaselineError, ModelBaseline
from detectors.batch import EventBatch
from detectors.calibration import calibrate
from detectors.finding import Attack, Finding, Severity
from detectors.panel import CLEAN, DIVERTED, FLAGGED, Panel
from detectors.registry import ROW_DETECTORS
from detectors.suspicion import LEAST_E, Suspicion

TTL_S = 600.0
BUDGET = 0.5


@cache
def baseline() -> ModelBaseline:
    return calibrate({"m": honest(1, rows=2500, clients=40)}, window_detectors=lambda _: ())[0].models["m"]


def panel(disabled: Sequence[str] = (), **more: int) -> Panel:
    return Panel("m", baseline(), BUDGET, disabled, ttl_s=TTL_S, **more)


def restored(store: Mapping[str, bytes | None], **more: int) -> Panel:
    """A new panel with the chunks that were not dropped, in the wrong order."""
    watch = panel(**more)
    watch.restore({name: store[name] for name in sorted(store, reverse=True)})  # type: ignore[misc]  # none is None
    return watch


@cache
def traffic() -> EventBatch:
    """Honest clients, three attackers among them, and one who comes back after a long pause."""
    crowd = honest(2, rows=500, clients=25, prefix="h")
    crowd = replace(crowd, ts=crowd.ts[0] + (crowd.ts - crowd.ts[0]) * 0.1)
    attackers = [bisection("client:bisects"), noisy("client:noise"), foreign("client:thief")]
    pause = bisection("client:pauses", rows=7)
    pause = replace(pause, ts=pause.ts + np.where(np.arange(7) < 4, 0.0, TTL_S + 10.0))
    start = crowd.ts[0] - pause.ts[0]
    return merged(crowd, *(later(a, start + 100.0) for a in attackers), later(pause, start))


def divert_all(_: Finding) -> bool:
    return True


def divert_none(_: Finding) -> bool:
    return False


def divert_some(finding: Finding) -> bool:
    return finding.subject.value in ("bisects", "thief")


Policy = Callable[[Finding], bool]


def played(watch: Panel, parts: Sequence[EventBatch], policy: Policy) -> tuple[list[Finding], list[int]]:
    """Findings and marks; rows of clients that were diverted before are left out, as a pipeline does."""
    findings: list[Finding] = []
    held: set[str] = set()
    marks: dict[str, int] = {}

    def on_finding(finding: Finding) -> bool:
        findings.append(finding)
        if policy(finding):
            held.add(f"{finding.subject.scope}:{finding.subject.value}")
            return True
        return False

    for part in parts:
        free = np.array([c not in held for c in part.clients], dtype=bool)
        marks |= dict.fromkeys(part.ids, DIVERTED)
        seen = part.take(free)
        marks |= dict(zip(seen.ids, watch.step(seen, on_finding).tolist(), strict=True))
    return findings, [marks[i] for part in parts for i in part.ids]


@cache
def whole(policy: Policy) -> tuple[list[Finding], list[int], dict[str, bytes]]:
    watch = panel()
    findings, marks = played(watch, [traffic()], policy)
    return findings, marks, watch.snapshot()


POLICIES = pytest.mark.parametrize("policy", [divert_all, divert_none, divert_some])


def test_each_attacker_is_found_for_what_it_does_and_no_one_else() -> None:
    findings = whole(divert_all)[0]
    assert {(f.subject.value, f.attack) for f in findings} == {
        ("bisects", Attack.EVASION),
        ("noise", Attack.EVASION),
        ("thief", Attack.EXTRACTION),
    }


@POLICIES
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(points=st.lists(st.integers(0, 700), max_size=15))
def test_cutting_the_stream_anywhere_changes_nothing(policy: Policy, points: list[int]) -> None:
    watch = panel()
    findings, marks = played(watch, cut(traffic(), points), policy)
    assert (findings, marks, watch.snapshot()) == whole(policy)


@POLICIES
def test_event_by_event_gives_the_same_findings_marks_and_state(policy: Policy) -> None:
    watch = panel()
    findings, marks = played(watch, cut(traffic(), range(len(traffic()))), policy)
    assert (findings, marks, watch.snapshot()) == whole(policy)


def suspicions(watch: Panel, parts: Sequence[EventBatch]) -> list[tuple[str, Suspicion]]:
    """What is raised, with the row's event."""
    told: list[tuple[str, Suspicion]] = []
    for part in parts:
        raised: list[tuple[int, Suspicion]] = []
        watch.step(part, divert_none, raised=raised)
        told += [(part.ids[row], s) for row, s in raised]
    return sorted(told, key=lambda each: (each[0], each[1].detector, each[1].e_value))


@settings(max_examples=8)
@given(points=st.lists(st.integers(0, 700), max_size=15))
def test_suspicions_are_the_same_however_rows_are_cut(points: list[int]) -> None:
    assert suspicions(panel(), cut(traffic(), points)) == suspicions(panel(), [traffic()])


def test_a_suspicion_is_a_bound_of_the_evidence_and_a_finding_is_the_evidence() -> None:
    """The largest of 4 lines times 3 bets is at least a twelfth of their sum."""
    watch, made, seen = panel(), list[Finding](), 0
    for part in cut(traffic(), range(len(traffic()))):
        raised: list[tuple[int, Suspicion]] = []
        before = len(made)
        watch.step(part, lambda f: bool(made.append(f)), raised=raised)
        found = {f.detector: f.score for f in made[before:]}
        for row, s in raised:
            assert (s.event, s.client, s.ts) == (part.ids[row], part.clients[row], part.ts[row])
            assert s.since_ts <= s.ts
            assert s.e_value >= LEAST_E
            if not found:
                e_value = watch.evidence(s.client)[s.detector]["e_value"]
                assert e_value / 12.0 <= s.e_value * 1.00001 <= e_value * 1.0001
                seen += 1
        told = {(s.detector, s.e_value) for _, s in raised}
        assert told.issuperset((name, score) for name, score in found.items() if name != "rate")
    assert seen > 10
    assert made


@POLICIES
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(points=st.lists(st.integers(0, 700), min_size=1, max_size=5))
def test_a_panel_restored_from_deltas_goes_on_the_same(policy: Policy, points: list[int]) -> None:
    """After each step what changed is stored; a new panel takes over from the store."""
    store: dict[str, bytes | None] = {}
    findings: list[Finding] = []
    held: set[str] = set()

    def on_finding(finding: Finding) -> bool:
        findings.append(finding)
        if policy(finding):
            held.add(f"client:{finding.subject.value}")
        return policy(finding)

    for part in cut(traffic(), points):
        watch = restored(store)
        seen = part.take(np.array([c not in held for c in part.clients], dtype=bool))
        watch.step(seen, on_finding)
        for name, chunk in watch.delta().items():
            assert name not in store or chunk is None
            store[name] = chunk
        store = {name: chunk for name, chunk in store.items() if chunk is not None}
        assert restored(store).snapshot() == watch.snapshot()
    assert findings == whole(policy)[0]
    assert restored(store).snapshot() == whole(policy)[2]


@settings(max_examples=6)
@given(points=st.lists(st.integers(0, 700), max_size=6))
def test_sweeping_at_any_time_changes_no_finding(points: list[int]) -> None:
    watch = panel()
    findings = []
    for part in cut(traffic(), points):
        if len(part):
            watch.step(part, lambda f: findings.append(f) or False)  # type: ignore[func-returns-value]  # append gives None
            watch.sweep(float(part.ts.max()))
    assert findings == whole(divert_none)[0]


def test_other_clients_interleaved_in_another_order_change_nothing() -> None:
    """Only the order of each client's own rows counts."""
    order = np.argsort(np.array(traffic().clients), kind="stable")
    findings, _ = played(panel(), [traffic().take(order)], divert_all)
    assert sorted(f.id for f in findings) == sorted(f.id for f in whole(divert_all)[0])
    assert {f.id: f for f in findings} == {f.id: f for f in whole(divert_all)[0]}


def test_marks_say_what_became_of_each_row() -> None:
    findings, marks, _ = whole(divert_all)
    at = {f.evidence["at"]: f for f in findings}
    mine: dict[str, list[int]] = {}
    for event, client, mark in zip(traffic().ids, traffic().clients, marks, strict=True):
        assert (mark == FLAGGED) == (event in at)
        mine.setdefault(client, []).append(mark)
    for client in ("client:bisects", "client:noise", "client:thief"):
        first = mine[client].index(FLAGGED)
        assert set(mine[client][:first]) == {CLEAN}
        assert set(mine[client][first + 1 :]) == {DIVERTED}
    assert set(mine["client:pauses"]) == {CLEAN}


def test_diverted_rows_are_as_if_they_had_never_been_sent() -> None:
    """State after a batch whose client was diverted within it equals that of the same batch without those rows."""
    marks = np.array(whole(divert_all)[1])
    watch = panel()
    watch.step(traffic().take(marks != DIVERTED), divert_none)
    assert watch.snapshot() == whole(divert_all)[2]


def test_rows_at_which_something_was_found_are_not_learned() -> None:
    findings, _, state = whole(divert_all)
    assert findings
    first = next(f for f in findings if f.subject.value == "bisects")
    row = traffic().ids.index(first.evidence["at"])
    watch = panel()
    before = traffic().take(np.arange(row))
    watch.step(before.take(np.array([c == "client:bisects" for c in before.clients])), divert_none)
    memory = watch.snapshot()["client:bisects"]
    assert msgspec.msgpack.decode(state["client:bisects"])[-1] == msgspec.msgpack.decode(memory)[-1]


def test_a_finding_says_who_what_when_and_why() -> None:
    finding = next(f for f in whole(divert_all)[0] if f.subject.value == "bisects")
    assert finding.detector == "bisection"
    assert finding.score >= finding.threshold == panel().threshold
    assert finding.subject.key == "client:bisects"
    evidence = finding.evidence
    assert evidence["at"] == evidence["events"][-1]
    assert finding.count == evidence["tail_rows"] >= len(evidence["events"])
    assert evidence["rows"] >= evidence["tail_rows"]
    assert evidence["bend_degrees"] < 1.0
    assert finding.first_seen <= finding.ts == finding.last_seen
    assert finding.severity is Severity.HIGH
    assert msgspec.json.decode(msgspec.json.encode(finding), type=Finding) == finding


def test_evidence_names_at_most_twenty_events() -> None:
    patient = Panel("m", replace(baseline(), client_days=1e-60), BUDGET)
    findings: list[Finding] = []
    patient.step(noisy("client:noise", rows=100), lambda f: findings.append(f) or True)  # type: ignore[func-returns-value]  # append gives None
    assert findings[0].count > 20
    assert len(findings[0].evidence["events"]) == 20


def test_an_undiverted_attacker_is_found_again_and_again() -> None:
    again = [f for f in whole(divert_none)[0] if f.subject.value == "noise"]
    assert len(again) >= 2
    assert len({f.id for f in again}) == len(again)


def test_detectors_that_agree_make_it_critical() -> None:
    one = bisection("client:both", rows=30)
    other = replace(foreign("client:both", rows=40), ts=one.ts[-1] + 1.0 + np.arange(40))
    findings, _ = played(panel(), [one, other], divert_none)
    first = {f.detector: f.severity for f in reversed(findings)}
    assert first["near_duplicate"] is Severity.HIGH
    assert first["coverage"] is Severity.CRITICAL


def test_detectors_that_look_at_the_same_memory_are_no_second_opinion() -> None:
    findings, _ = played(panel(), [bisection("client:a", rows=60)], divert_none)
    assert {f.detector for f in findings} >= {"near_duplicate", "noise_floor"}
    assert Severity.CRITICAL not in {f.severity for f in findings}


def test_detectors_that_remember_the_same_share_one_memory() -> None:
    watch = panel()
    watch.step(bisection("client:a", rows=8), divert_none)
    memories = msgspec.msgpack.decode(watch.snapshot()["client:a"])[-1]
    assert list(memories) == ["near_duplicate", "unseen_values", "coverage", "synthetic_blocks", "rate"]


def test_a_pause_longer_than_the_time_to_live_makes_a_stranger() -> None:
    """Four suspicious rows, a pause, three more: never enough at a time; without the pause they are."""
    assert "pauses" not in {f.subject.value for f in whole(divert_none)[0]}
    mine = traffic().take(np.array([c == "client:pauses" for c in traffic().clients]))
    findings, _ = played(panel(), [replace(mine, ts=mine.ts[0] + np.arange(len(mine)))], divert_none)
    assert findings


def test_the_sweep_forgets_who_is_long_gone_and_the_oldest_of_too_many() -> None:
    watch = panel(max_clients=3)
    for i in range(6):
        watch.step(later(honest(3, rows=1, prefix=f"{i}-"), 100.0 * i), divert_none)
        watch.step(replace(later(honest(3, rows=1, prefix=f"x{i}-"), 100.0 * i), clients=(f"client:{i}",)), divert_none)
    assert len(watch) == 7
    newest = float(honest(3, rows=1).ts[0]) + 500.0
    assert watch.sweep(newest) == ["client:0", "client:1", "client:2", "client:3"]
    assert sorted(watch.sweep(newest + 2 * TTL_S + 1.0)) == ["client:4", "client:5", honest(3, rows=1).clients[0]]
    assert len(watch) == 0
    assert watch.snapshot() == {}


def test_evidence_on_a_client_can_be_read() -> None:
    watch = panel()
    watch.step(bisection("client:a", rows=7), divert_none)
    shown = watch.evidence("client:a")
    assert list(shown) == [kind.info.name for kind in ROW_DETECTORS]
    assert 10.0 < shown["noise_floor"]["e_value"] < shown["noise_floor"]["threshold"]
    assert shown["noise_floor"]["tail_rows"] == 2
    assert shown["noise_floor"]["opinions"] == 6
    assert watch.evidence("client:nobody") == {}


def test_forgetting_leaves_nothing() -> None:
    watch = panel()
    watch.step(bisection("client:a", rows=8), divert_none)
    watch.forget(["client:a", "client:nobody"])
    assert watch.evidence("client:a") == {}
    assert "client:a" not in watch.snapshot()


def test_one_request_of_many_rows_makes_one_finding_a_detector() -> None:
    rows = foreign("client:bulk", rows=300)
    bulk = replace(rows, ids=("r1",) * 300, ts=np.full(300, rows.ts[0]), request=np.zeros(300, dtype=np.int64))
    findings, marks = played(panel(), [bulk], divert_none)
    assert [f.detector for f in findings] == list(dict.fromkeys(f.detector for f in findings))
    assert len({f.id for f in findings}) == len(findings) >= 1
    assert marks


def test_disabled_detectors_are_not_asked() -> None:
    findings, _ = played(panel(disabled=["near_duplicate"]), [bisection("client:a")], divert_none)
    assert "near_duplicate" not in {f.detector for f in findings}
    everything = [kind.info.name for kind in ROW_DETECTORS]
    assert played(panel(disabled=everything), [bisection("client:a")], divert_none)[0] == []


def test_state_of_disabled_detectors_is_left_aside() -> None:
    full, fewer = panel(), panel(disabled=["rate", "coverage"])
    first, second = cut(bisection("client:a"), [4])
    full.step(first, divert_none)
    fewer.restore(full.delta())  # type: ignore[arg-type]  # the first delta drops nothing
    findings, _ = played(fewer, [second], divert_none)
    assert (findings[0].detector, findings[0].evidence["at"]) == ("bisection", second.ids[0])


def test_a_baseline_of_other_versions_is_refused() -> None:
    old = replace(baseline(), versions={**baseline().versions, "coverage": "0"})
    with pytest.raises(BaselineError, match="coverage 0, this version needs 2; calibrate again"):
        Panel("m", old, BUDGET)
    with pytest.raises(BaselineError, match=r"noise_floor \(none\)"):
        Panel("m", replace(baseline(), versions={"near_duplicate": "2"}), BUDGET)


def test_a_baseline_without_parameters_is_refused() -> None:
    with pytest.raises(BaselineError, match="make no sense"):
        Panel("m", replace(baseline(), params={}), BUDGET)
    with pytest.raises(BaselineError, match="make no sense"):
        Panel("m", replace(baseline(), tails={}), BUDGET)


def test_rows_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="the baseline was made for"):
        panel().step(batch(np.zeros((1, 6)), ["client:a"], TABLE), divert_none)


def test_no_rows_are_no_problem() -> None:
    assert panel().step(traffic().take(np.empty(0, dtype=np.int64)), divert_none).shape == (0,)


def test_long_batches_are_cut_without_a_trace() -> None:
    crowd = honest(4, rows=5000, clients=30)
    one, other = panel(), panel()
    one.step(crowd, divert_none)
    for part in cut(crowd, [700, 4096, 4600]):
        other.step(part, divert_none)
    assert one.snapshot() == other.snapshot()


def test_a_client_diverted_in_one_stretch_stays_so_in_the_next() -> None:
    """A long batch is looked at in stretches; who was diverted in one is not looked at in any later one."""
    crowd = honest(4, rows=5000, clients=30)
    last = replace(bisection("client:a", rows=5), ids=tuple(f"last{i}" for i in range(5)))
    rows = merged(bisection("client:a"), replace(later(crowd, 0.0), ts=crowd.ts + 100.0), later(last, 8000.0))
    marks = panel().step(rows, divert_all)
    assert marks[-5:].tolist() == [DIVERTED] * 5


def test_costly_detectors_leave_spared_rows_alone() -> None:
    """Spared rows give no opinion and leave no trace in costly detectors; the others judge and learn them."""
    rows = noisy("client:noise", rows=60)
    spare = np.arange(60) % 3 != 0
    costly = [kind.info.name for kind in ROW_DETECTORS if kind.costly]
    assert costly
    # Without a crossing in common, after which all that crossed begin anew.
    never = {"model": "m", "baseline": baseline(), "clients_per_day": 1e-200}
    some, without = Panel(**never), Panel(**never)
    some.step(rows, divert_none, spare)
    for part in np.flatnonzero(~spare):
        without.step(rows.take(np.array([part])), divert_none)
    for name in costly:
        assert some.evidence("client:noise")[name] == without.evidence("client:noise")[name]
    assert some.evidence("client:noise")["near_duplicate"]["opinions"] == 59
    findings: list[Finding] = []
    panel().step(rows, lambda f: findings.append(f) or False, spare)  # type: ignore[func-returns-value]  # append gives None
    assert findings
    assert {f.evidence["at"] for f in findings if f.detector in costly} <= {rows.ids[i] for i in np.flatnonzero(~spare)}


@POLICIES
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(points=st.lists(st.integers(0, 700), max_size=8))
def test_sparing_goes_with_the_row_however_the_stream_is_cut(policy: Policy, points: list[int]) -> None:
    spared = frozenset(event for i, event in enumerate(traffic().ids) if i % 5 == 0)

    def seen(parts: Sequence[EventBatch]) -> tuple[list[Finding], dict[str, bytes]]:
        watch, findings, held = panel(), list[Finding](), set[str]()

        def on_finding(finding: Finding) -> bool:
            findings.append(finding)
            held.update([finding.subject.key] if policy(finding) else [])
            return policy(finding)

        for part in parts:
            free = part.take(np.array([c not in held for c in part.clients], dtype=bool))
            watch.step(free, on_finding, np.array([i in spared for i in free.ids], dtype=bool))
        return findings, watch.snapshot()

    assert seen(cut(traffic(), points)) == seen([traffic()])


def test_memory_stays_within_its_bound() -> None:
    crowd = honest(4, rows=4000, clients=800)
    crowd = crowd.take(np.argsort(np.array(crowd.clients), kind="stable"))
    crowd = replace(crowd, ts=np.sort(crowd.ts))
    free, bound = panel(), panel(max_state_mb=1)
    for watch in (free, bound):
        watch.step(crowd, divert_none)
    assert free.sweep(0.0) == []
    gone = bound.sweep(0.0)
    assert gone == sorted(set(crowd.clients))[: len(gone)]
    assert bound.nbytes() <= 2**20 < free.nbytes()
    last = {client: blob for client, blob in free.snapshot().items() if client not in gone}
    assert bound.snapshot() == last
    assert bound.sweep(0.0) == []


def test_memory_is_told_by_client() -> None:
    watch = panel()
    watch.step(traffic(), divert_none)
    by_client = watch.client_nbytes()
    assert by_client.keys() == watch.snapshot().keys()
    assert sum(by_client.values()) == pytest.approx(watch.nbytes(), rel=0.05)
    assert by_client["client:bisects"] > min(by_client.values())


def test_forgotten_clients_are_gone_after_a_restart() -> None:
    watch, store = panel(), dict[str, bytes | None]()
    watch.step(traffic(), divert_none)
    store |= watch.delta()
    watch.forget(["client:bisects", "client:nobody"])
    store |= watch.delta()
    assert "client:bisects" not in restored(store).snapshot()
    assert restored(store).snapshot() == watch.snapshot()
    watch.step(bisection("client:bisects", rows=3), divert_none)
    store |= watch.delta()
    assert restored(store).snapshot() == watch.snapshot()


def test_what_did_not_change_is_not_stored_again() -> None:
    watch = panel()
    watch.step(traffic(), divert_none)
    everything = sum(len(chunk or b"") for chunk in watch.delta().values())
    watch.step(later(bisection("client:new", rows=1), 50.0), divert_none)
    assert 0 < sum(len(chunk or b"") for chunk in watch.delta().values()) < everything / 10
    assert watch.delta() == {}


def test_stored_state_of_another_format_is_refused() -> None:
    watch = panel()
    watch.step(bisection("client:a", rows=3), divert_none)
    [(name, chunk)] = watch.delta().items()
    other = msgspec.msgpack.encode([99, *msgspec.msgpack.decode(chunk)[1:]])
    with pytest.raises(ValueError, match="format 99, this version needs 5"):
        panel().restore({name: other})
