"""What every action promises, for each of them on real files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from actions_kit import assert_log_is_whole, crash_at_file_call, decision, executor, tree

from responders import file_registry
from responders.actions.block_ip import BlockIpAction
from responders.actions.quarantine import MANIFEST, QuarantineAction
from responders.actions.rollback import RollbackAction
from responders.actions.throttle import ThrottleAction
from responders.contract import Action
from responders.decision import ActionType, Decision, Status, Why
from responders.guard import Allowlist
from responders.ledger import Ledger

State = dict[str, bytes | str]


@dataclass
class Case:
    """An action in a place where something was before. ``state`` is what must come back after a revert."""

    action: Action
    decision: Decision
    another: Decision
    state: Callable[[], State]


def block_ip(folder: Path) -> Case:
    (folder / "blocklist.txt").write_bytes(b"# by hand\r\n198.51.100.1\n203.0.113.9  # ours? no\nno line end")
    action = BlockIpAction(folder / "blocklist.txt", Allowlist())
    action.apply(decision(value="192.0.2.7", id="before"), 50.0)
    return Case(action, decision(), decision(id="act-2"), lambda: tree(folder))


def throttle(folder: Path) -> Case:
    action = ThrottleAction(folder / "throttle.json")
    first, second = (
        decision(ActionType.THROTTLE, "acct-7", id=i, incident_id=i, rate_per_s=r)
        for i, r in (("act-1", 2.0), ("act-2", 5.0))
    )
    action.apply(msgspec.structs.replace(first, id="before", value="acct-1"), 50.0)
    return Case(action, first, second, lambda: tree(folder))


def quarantine(folder: Path) -> Case:
    """A released record stays, as evidence: what comes back is who is held by what."""
    action = QuarantineAction(folder / "quarantine")
    first, second = (decision(ActionType.QUARANTINE, "acct-7", id=i, incident_id=i) for i in ("act-1", "act-2"))
    action.apply(msgspec.structs.replace(first, id="before", value="acct-1"), 50.0)

    def held() -> State:
        manifests = [json.loads(path.read_bytes()) for path in (folder / "quarantine").glob(f"*/{MANIFEST}")]
        return {m["client"]: json.dumps(m["holds"]) for m in manifests if m["state"] == "open"}

    return Case(action, first, second, held)


def rollback(folder: Path) -> Case:
    for name, good in (("1", True), ("2", True), ("3", None)):
        file_registry.create_version(folder, "digits", name, {"w.bin": name.encode()}, good=good, now=float(name))
    # an absolute link, unlike the one that we would write
    (folder / "digits" / "current").symlink_to(folder / "digits" / "versions" / "3")
    first, second = (
        decision(ActionType.ROLLBACK, "digits", id=i, incident_id=i, ttl_s=None) for i in ("act-1", "act-2")
    )
    return Case(RollbackAction(folder), first, second, lambda: tree(folder))


CASES = [block_ip, throttle, quarantine, rollback]


@pytest.fixture(params=CASES, ids=lambda make: make.__name__)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    folder = tmp_path / "place"
    folder.mkdir()
    made: Case = request.param(folder)
    return made


def test_plan_says_one_line_and_changes_nothing(case: Case, tmp_path: Path) -> None:
    before = tree(tmp_path)
    plan = case.action.plan(case.decision)
    assert plan.isprintable()
    assert plan.startswith("would ")
    assert tree(tmp_path) == before
    assert not case.action.verify(case.decision, {})


def test_apply_twice_is_apply_once(case: Case, tmp_path: Path) -> None:
    first = case.action.apply(case.decision, 100.0)
    assert (first.ok, first.why) == (True, Why.DONE)
    once = tree(tmp_path)
    second = case.action.apply(case.decision, 100.0)
    assert (second.ok, second.why) == (True, Why.ALREADY_SO)
    assert second.undo == first.undo
    assert tree(tmp_path) == once


def test_verify_says_whether_it_is_so(case: Case) -> None:
    outcome = case.action.apply(case.decision, 100.0)
    assert case.action.verify(case.decision, outcome.undo)
    assert case.action.verify(case.decision, {})
    assert not case.action.verify(case.another, {})
    assert case.action.revert(case.decision, outcome.undo, 200.0).ok
    assert not case.action.verify(case.decision, outcome.undo)


@pytest.mark.parametrize("with_undo", [True, False])
def test_revert_brings_back_what_was_there(case: Case, with_undo: bool) -> None:
    """Also without undo data, which a crash may have kept from being written."""
    before = case.state()
    outcome = case.action.apply(case.decision, 100.0)
    assert case.state() != before
    reverted = case.action.revert(case.decision, outcome.undo if with_undo else {}, 200.0)
    assert (reverted.ok, reverted.why) == (True, Why.DONE)
    assert case.state() == before


def test_revert_twice_or_without_apply_changes_nothing(case: Case) -> None:
    before = case.state()
    assert case.action.revert(case.decision, {}, 100.0).why is Why.ALREADY_SO
    assert case.state() == before
    outcome = case.action.apply(case.decision, 100.0)
    case.action.revert(case.decision, outcome.undo, 200.0)
    again = case.action.revert(case.decision, outcome.undo, 200.0)
    assert (again.ok, again.why) == (True, Why.ALREADY_SO)
    assert case.state() == before


def test_two_decisions_are_taken_back_one_by_one(case: Case) -> None:
    before = case.state()
    first = case.action.apply(case.decision, 100.0)
    between = case.state()
    second = case.action.apply(case.another, 110.0)
    assert second.ok
    assert case.action.revert(case.another, second.undo, 120.0).ok
    assert case.state() == between
    assert case.action.verify(case.decision, first.undo)
    assert case.action.revert(case.decision, first.undo, 130.0).ok
    assert case.state() == before


def test_undo_data_can_be_stored(case: Case) -> None:
    outcome = case.action.apply(case.decision, 100.0)
    assert outcome.undo
    assert json.loads(json.dumps(outcome.undo)) == outcome.undo


def test_a_target_of_another_kind_is_refused(case: Case, tmp_path: Path) -> None:
    before = tree(tmp_path)
    wrong = msgspec.structs.replace(case.decision, scope="group", value="../../x\x00")
    outcome = case.action.apply(wrong, 100.0)
    assert (outcome.ok, outcome.why, outcome.retry) == (False, Why.INVALID_TARGET, False)
    assert tree(tmp_path) == before


def _placeless(state: State, folder: Path) -> State:
    """The place's own path, which a link may hold, left out."""
    own = str(folder / "place")
    return {k: v.replace(own, "") if isinstance(v, str) else v.replace(own.encode(), b"") for k, v in state.items()}


def _untroubled(make: Callable[[Path], Case], folder: Path) -> tuple[State, State]:
    """What is there after carrying out, and after taking back, when nothing goes wrong."""
    (folder / "place").mkdir(parents=True)
    case = make(folder / "place")
    ledger = Ledger(folder / "vedette.db")
    runner = executor(ledger, case.action)
    ledger.record([case.decision], 100.0)
    runner.step(100.0)
    applied = case.state()
    assert runner.undo(case.decision.id, 200.0, "ann").ok
    ledger.close()
    return applied, case.state()


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
@pytest.mark.parametrize("phase", ["apply", "undo"])
def test_a_crash_at_any_file_call_is_recovered(make: Callable[[Path], Case], phase: str, tmp_path: Path) -> None:
    calm = tmp_path / "p"
    applied, reverted = _untroubled(make, calm)

    crashes = 0
    while True:
        folder = tmp_path / str(crashes)
        (folder / "place").mkdir(parents=True)
        case = make(folder / "place")
        ledger = Ledger(folder / "vedette.db")
        ledger.record([case.decision], 100.0)
        runner = executor(ledger, case.action)
        if phase == "undo":
            runner.step(100.0)
        with crash_at_file_call(crashes, folder / "place") as crashed:
            if phase == "undo":
                runner.undo(case.decision.id, 200.0, "ann")
            else:
                runner.step(100.0)
        ledger.close()
        ledger = Ledger(folder / "vedette.db")
        runner = executor(ledger, case.action)
        runner.recover(100.0)
        runner.step(100.0)
        record = ledger.get(case.decision.id)
        assert record is not None
        assert record.status is (Status.APPLIED if phase == "apply" else Status.REVERTED)
        assert_log_is_whole(ledger, case.decision.id)
        expected = applied if phase == "apply" else reverted
        assert _placeless(case.state(), folder) == _placeless(expected, calm)
        if phase == "apply":
            assert runner.undo(case.decision.id, 200.0, "ann").ok
            assert _placeless(case.state(), folder) == _placeless(reverted, calm)
        ledger.close()
        if not crashed[0]:
            break
        crashes += 1
    assert crashes >= 3


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_a_crash_between_effect_and_record_is_recovered(make: Callable[[Path], Case], tmp_path: Path) -> None:
    applied, _ = _untroubled(make, tmp_path / "p")
    (tmp_path / "place").mkdir()
    case = make(tmp_path / "place")
    ledger = Ledger(tmp_path / "vedette.db")
    ledger.record([case.decision], 100.0)
    record = ledger.get(case.decision.id)
    assert record is not None
    expires_at = None if case.decision.ttl_s is None else 100.0 + case.decision.ttl_s
    ledger.save(msgspec.structs.replace(record, status=Status.APPLYING, claimed_at=100.0, expires_at=expires_at), 100.0)
    case.action.apply(case.decision, 100.0)
    (after,) = executor(ledger, case.action).recover(150.0)
    assert (after.status, after.why) == (Status.APPLIED, Why.ALREADY_SO)
    assert after.undo
    assert _placeless(case.state(), tmp_path) == _placeless(applied, tmp_path / "p")
    ledger.close()
