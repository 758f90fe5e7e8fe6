"""Undo: from the command line or the worker, once, and final."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from actions_kit import Crash, MemoryAction, assert_log_is_whole, decision, executor, guard

from responders.actions.block_ip import BlockIpAction
from responders.decision import ActionType, Decision, Outcome, Status, Why
from responders.guard import Allowlist
from responders.ledger import Ledger
from responders.record import ActionRecord


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "vedette.db")
    yield opened
    opened.close()


@pytest.fixture
def action() -> MemoryAction:
    return MemoryAction()


def record_of(ledger: Ledger, action_id: str = "act-1") -> ActionRecord:
    record = ledger.get(action_id)
    assert record is not None
    return record


def test_an_undo_says_who_asked(ledger: Ledger, action: MemoryAction) -> None:
    runner = executor(ledger, action)
    ledger.record([decision()], 100.0)
    runner.step(100.0)
    outcome = runner.undo("act-1", 200.0, "ann\x1b[2J")
    assert (outcome.ok, outcome.why) == (True, Why.UNDONE_BY_OPERATOR)
    record = record_of(ledger)
    assert (record.status, record.why) == (Status.REVERTED, Why.UNDONE_BY_OPERATOR)
    assert record.asked_by == "ann\\u001b[2J"
    assert record.detail == "by ann\\u001b[2J"
    assert action.there == set()
    assert runner.step(99999.0) == []


def test_undo_twice_is_undo_once(ledger: Ledger, action: MemoryAction) -> None:
    runner = executor(ledger, action)
    ledger.record([decision()], 100.0)
    runner.step(100.0)
    runner.undo("act-1", 200.0, "ann")
    again = runner.undo("act-1", 210.0, "bob")
    assert (again.ok, again.why) == (True, Why.ALREADY_SO)
    assert record_of(ledger).asked_by == "ann"


def test_an_undo_before_it_was_done_means_it_is_never_done(ledger: Ledger, action: MemoryAction) -> None:
    runner = executor(ledger, action)
    ledger.record([decision()], 100.0)
    assert runner.undo("act-1", 100.0, "ann").ok
    runner.step(100.0)
    assert record_of(ledger).status is Status.REVERTED
    assert action.changes == []


def test_an_undo_between_two_tries_takes_back_what_may_be_there(ledger: Ledger, action: MemoryAction) -> None:
    runner = executor(ledger, action)
    ledger.record([decision()], 100.0)
    action.faults = ["torn"]
    runner.step(100.0)
    assert record_of(ledger).status is Status.PENDING
    assert action.there == {"act-1"}
    assert runner.undo("act-1", 100.5, "ann").ok
    assert action.there == set()
    assert runner.step(102.0) == []


def test_an_undo_of_what_a_crash_cut_short(ledger: Ledger, action: MemoryAction) -> None:
    ledger.record([decision()], 100.0)
    action.faults = ["crash-after"]
    with pytest.raises(Crash):
        executor(ledger, action).step(100.0)
    assert executor(ledger, action).undo("act-1", 110.0, "ann").ok
    assert record_of(ledger).status is Status.REVERTED
    assert action.there == set()
    assert_log_is_whole(ledger, "act-1")


@pytest.mark.parametrize("fault", ["refused", "permanent", "simulated"])
def test_what_was_never_in_force_cannot_be_undone(ledger: Ledger, action: MemoryAction, fault: str) -> None:
    runner = executor(ledger, action)
    ledger.record([decision(simulated=fault == "simulated")], 100.0)
    action.faults = [fault]
    runner.step(100.0)
    before = record_of(ledger)
    outcome = runner.undo("act-1", 200.0, "ann")
    assert (outcome.ok, outcome.why) == (False, Why.NOTHING_TO_DO)
    assert before.status.value in outcome.detail
    assert record_of(ledger) == before


def test_a_message_cannot_be_taken_back(ledger: Ledger) -> None:
    class Message(MemoryAction):
        type = ActionType.NOTIFY

    runner = executor(ledger, Message())
    ledger.record([decision(ActionType.NOTIFY, ttl_s=None)], 100.0)
    runner.step(100.0)
    assert runner.undo("act-1", 200.0, "ann").why is Why.NOTHING_TO_DO
    assert record_of(ledger).status is Status.APPLIED


def test_an_unknown_action_is_told_harmlessly(ledger: Ledger, action: MemoryAction) -> None:
    with pytest.raises(LookupError) as caught:
        executor(ledger, action).undo("no\x1b\n" + "x" * 1000, 100.0, "ann")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 150


def test_what_somebody_changed_is_left_to_people(ledger: Ledger, action: MemoryAction) -> None:
    runner = executor(ledger, action)
    ledger.record([decision(ttl_s=60.0)], 100.0)
    runner.step(100.0)
    action.faults = ["changed"]
    outcome = runner.undo("act-1", 110.0, "ann")
    assert (outcome.ok, outcome.why, outcome.retry) == (False, Why.CHANGED_SINCE, False)
    assert outcome.detail == "somebody else's by now"
    assert record_of(ledger).status is Status.APPLIED
    assert runner.step(120.0) == []
    runner.step(160.0)
    assert record_of(ledger).status is Status.EXPIRED


def test_an_undo_that_fails_now_is_finished_by_the_worker(ledger: Ledger, action: MemoryAction) -> None:
    runner = executor(ledger, action)
    ledger.record([decision()], 100.0)
    runner.step(100.0)
    action.faults = ["transient", "transient"]
    outcome = executor(ledger, action).undo("act-1", 110.0, "ann")
    assert (outcome.ok, outcome.why, outcome.retry) == (False, Why.TRANSIENT_ERROR, True)
    assert outcome.detail == "disk full"
    assert runner.step(110.5) == []
    runner.step(111.0)
    assert record_of(ledger).status is Status.REVERTING
    runner.step(113.0)
    record = record_of(ledger)
    assert (record.status, record.why, record.detail) == (Status.REVERTED, Why.UNDONE_BY_OPERATOR, "by ann")


def test_an_operator_need_not_wait_for_the_next_try(ledger: Ledger, action: MemoryAction) -> None:
    runner = executor(ledger, action)
    ledger.record([decision(ttl_s=60.0)], 100.0)
    runner.step(100.0)
    action.faults = ["transient"] * 5
    for now in (160.0, 161.0, 163.0, 167.0, 175.0):
        runner.step(now)
    assert runner.undo("act-1", 176.0, "ann").ok
    assert record_of(ledger).why is Why.UNDONE_BY_OPERATOR


def test_the_same_incident_does_not_do_again_what_an_operator_undid(ledger: Ledger, action: MemoryAction) -> None:
    runner = executor(ledger, action)
    ledger.record([decision()], 100.0)
    runner.step(100.0)
    runner.undo("act-1", 110.0, "ann")
    ledger.record(
        [
            decision(id="same"),
            decision(id="other-address", value="203.0.113.10"),
            decision(id="other-incident", incident_id="inc-2"),
        ],
        120.0,
    )
    runner.step(120.0)
    assert (record_of(ledger, "same").status, record_of(ledger, "same").why) == (
        Status.REFUSED,
        Why.UNDONE_BY_OPERATOR,
    )
    assert "act-1 by ann" in record_of(ledger, "same").detail
    assert action.there == {"other-address", "other-incident"}


def test_what_was_lifted_for_the_allowlist_may_be_done_again(ledger: Ledger, action: MemoryAction) -> None:
    ledger.record([decision()], 100.0)
    executor(ledger, action).step(100.0)
    executor(ledger, action, by=guard(networks=("203.0.113.0/24",))).recover(110.0)
    assert action.there == set()
    ledger.record([decision(id="act-2")], 120.0)
    executor(ledger, action).step(120.0)
    assert action.there == {"act-2"}


def test_an_undo_that_comes_between_reading_and_acting_counts(
    ledger: Ledger, action: MemoryAction, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.record([decision(), decision(id="act-2", incident_id="inc-2")], 100.0)
    runner, read = executor(ledger, action), ledger.pending

    def read_and_be_overtaken(now: float) -> list[ActionRecord]:
        listed = read(now)
        assert runner.undo("act-1", now, "ann").ok
        return listed

    monkeypatch.setattr(ledger, "pending", read_and_be_overtaken)
    assert [record.decision.id for record in runner.run_pending(100.0)] == ["act-2"]
    assert action.changes == [("act-2", "+")]
    assert record_of(ledger).status is Status.REVERTED


def test_what_ran_out_by_itself_may_be_done_again(ledger: Ledger, action: MemoryAction) -> None:
    runner = executor(ledger, action)
    ledger.record([decision(ttl_s=60.0)], 100.0)
    runner.step(100.0)
    runner.step(160.0)
    ledger.record([decision(id="act-2")], 170.0)
    runner.step(170.0)
    assert action.there == {"act-2"}


class Slow(MemoryAction):
    """Waits inside apply until told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.go_on = threading.Event(), threading.Event()

    def apply(self, decision: Decision, now: float) -> Outcome:
        self.inside.set()
        assert self.go_on.wait(60)
        return super().apply(decision, now)


def test_an_undo_waits_for_the_worker_and_then_counts(ledger: Ledger, tmp_path: Path) -> None:
    """Two connections, as of two processes: the undo comes while the action is being applied."""
    action = Slow()
    ledger.record([decision()], 100.0)
    worker = threading.Thread(target=executor(ledger, action).step, args=(100.0,))
    worker.start()
    assert action.inside.wait(60)
    outcomes: list[Outcome] = []

    def operator() -> None:
        other = Ledger(tmp_path / "vedette.db")
        outcomes.append(executor(other, action).undo("act-1", 100.0, "ann"))
        other.close()

    undo = threading.Thread(target=operator)
    undo.start()
    action.go_on.set()
    worker.join()
    undo.join()
    assert [outcome.ok for outcome in outcomes] == [True]
    assert record_of(ledger).status is Status.REVERTED
    assert action.changes == [("act-1", "+"), ("act-1", "-")]
    assert_log_is_whole(ledger, "act-1")


def test_worker_and_operators_at_the_same_time(ledger: Ledger, tmp_path: Path) -> None:
    """Every action ends once, whoever was first; the file holds what the ledger says."""
    path = tmp_path / "blocklist.txt"
    ids = [f"act-{i}" for i in range(12)]
    ledger.record(
        [decision(id=i, value=f"203.0.113.{n}", ttl_s=60.0 if n % 3 else 9999.0) for n, i in enumerate(ids)], 100.0
    )
    executor(ledger, BlockIpAction(path, Allowlist())).step(100.0)

    def work(undo: list[str]) -> None:
        mine = Ledger(tmp_path / "vedette.db")
        runner = executor(mine, BlockIpAction(path, Allowlist()))
        for action_id in undo:
            assert runner.undo(action_id, 160.0, "ann").ok
            runner.step(160.0)
        mine.close()

    threads = [threading.Thread(target=work, args=(ids[k::2],)) for k in (0, 1, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() == ""
    for action_id in ids:
        assert_log_is_whole(ledger, action_id)
        assert record_of(ledger, action_id).status in (Status.REVERTED, Status.EXPIRED)
        assert [entry.to_status for entry in ledger.log(action_id)].count(Status.REVERTING) == 1
