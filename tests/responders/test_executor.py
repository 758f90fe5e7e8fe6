"""The executor: acts once, says why or why not, stops in time, survives crashes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from actions_kit import FINAL, Crash, MemoryAction, assert_log_is_whole, decision, executor, guard
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from responders.atomic_file import locked
from responders.decision import ActionType, Decision, Outcome, Status, Why
from responders.executor import Executor
from responders.guard import Limits
from responders.ledger import Ledger
from responders.record import ActionRecord
from responders.retry import RetryPolicy


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


def test_a_decision_is_carried_out_once_and_ends_in_time(ledger: Ledger, action: MemoryAction) -> None:
    runner = executor(ledger, action)
    ledger.record([decision(ttl_s=60.0)], 100.0)
    assert [r.status for r in runner.step(100.0)] == [Status.APPLIED]
    record = record_of(ledger)
    assert (record.why, record.claimed_at, record.expires_at) == (Why.DONE, 100.0, 160.0)
    assert record.undo == {"id": "act-1"}
    assert record.plan == "would add act-1"
    assert runner.step(159.9) == []
    assert action.there == {"act-1"}
    assert [r.status for r in runner.step(160.0)] == [Status.EXPIRED]
    assert record_of(ledger).why is Why.TTL_PASSED
    assert action.changes == [("act-1", "+"), ("act-1", "-")]
    ledger.record([decision(ttl_s=60.0)], 200.0)
    assert runner.step(200.0) == []


def test_applying_is_written_before_the_effect(ledger: Ledger, action: MemoryAction) -> None:
    seen = []

    class Looking(MemoryAction):
        def apply(self, decision: Decision, now: float) -> Outcome:
            seen.append(record_of(ledger).status)
            return super().apply(decision, now)

        def revert(self, decision: Decision, undo: dict[str, object], now: float) -> Outcome:
            seen.append(record_of(ledger).status)
            return super().revert(decision, undo, now)

    runner = executor(ledger, Looking())
    ledger.record([decision(ttl_s=60.0)], 100.0)
    runner.step(100.0)
    runner.step(160.0)
    assert seen == [Status.APPLYING, Status.REVERTING]


def test_a_simulated_decision_is_planned_and_not_carried_out(ledger: Ledger, action: MemoryAction) -> None:
    ledger.record([decision(simulated=True)], 100.0)
    executor(ledger, action).step(100.0)
    record = record_of(ledger)
    assert (record.status, record.why) == (Status.SIMULATED, Why.DRY_RUN)
    assert record.detail == record.plan == "would add act-1"
    assert action.changes == []


def test_an_executor_in_dry_run_carries_out_nothing_but_messages(ledger: Ledger, action: MemoryAction) -> None:
    class Message(MemoryAction):
        type = ActionType.NOTIFY

    message = Message()
    ledger.record([decision(), decision(ActionType.NOTIFY, id="act-2", ttl_s=None)], 100.0)
    executor(ledger, action, message, dry_run=True).step(100.0)
    assert record_of(ledger).status is Status.SIMULATED
    assert record_of(ledger, "act-2").status is Status.APPLIED
    assert (action.there, message.there) == (set(), {"act-2"})


def test_a_dry_run_still_takes_back_what_was_done_before_it(ledger: Ledger, action: MemoryAction) -> None:
    ledger.record([decision(ttl_s=60.0), decision(id="act-2", ttl_s=60.0)], 100.0)
    executor(ledger, action).step(100.0)
    dry = executor(ledger, action, dry_run=True)
    assert dry.undo("act-2", 110.0, "ann").ok
    dry.step(160.0)
    assert action.there == set()


def test_a_dry_run_shows_what_would_be_refused(ledger: Ledger, action: MemoryAction) -> None:
    ledger.record([decision(), decision(id="act-2"), decision(id="act-3", value="198.51.100.1")], 100.0)
    limits = Limits(max_active_blocks=1)
    executor(ledger, action, dry_run=True, by=guard(limits, networks=("198.51.100.0/24",))).step(100.0)
    got = [(r.status, r.why) for r in reversed(ledger.find())]
    assert got == [
        (Status.SIMULATED, Why.DRY_RUN),
        (Status.REFUSED, Why.CAP_REACHED),
        (Status.REFUSED, Why.ALLOWLISTED),
    ]


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (decision(value="198.51.100.1"), Why.ALLOWLISTED),
        (decision(value="192.0.2.1"), Why.SHARED_ADDRESS),
        (decision(value="127.0.0.1"), Why.INVALID_TARGET),
        (decision(ttl_s=None), Why.INVALID_TARGET),
        (decision(ActionType.ROLLBACK, "digits"), Why.NOTHING_TO_DO),
    ],
)
def test_refusals_are_recorded_with_their_reason(
    ledger: Ledger, action: MemoryAction, refused: Decision, why: Why
) -> None:
    ledger.record([refused], 100.0)
    executor(ledger, action, by=guard(networks=("198.51.100.0/24",), clients_at={"192.0.2.1": 3})).step(100.0)
    record = record_of(ledger)
    assert (record.status, record.why) == (Status.REFUSED, why)
    assert record.detail
    assert action.changes == []


def test_caps_hold_and_open_again(ledger: Ledger, action: MemoryAction) -> None:
    runner = executor(ledger, action, by=guard(Limits(max_active_blocks=2, max_actions_per_hour=4)))
    ledger.record([decision(id=f"a{i}", ttl_s=60.0) for i in range(3)], 100.0)
    runner.step(100.0)
    assert record_of(ledger, "a2").why is Why.CAP_REACHED
    ledger.record([decision(id=f"b{i}", ttl_s=60.0) for i in range(3)], 200.0)
    runner.step(200.0)
    assert [record_of(ledger, f"b{i}").status for i in range(3)] == [Status.APPLIED, Status.APPLIED, Status.REFUSED]
    ledger.record([decision(id="c", ttl_s=60.0)], 3700.0)
    runner.step(3700.0)
    assert record_of(ledger, "c").status is Status.APPLIED


def test_a_time_to_live_is_cut_to_the_cap_and_the_action_is_told(ledger: Ledger, action: MemoryAction) -> None:
    ledger.record([decision(ttl_s=1e9)], 100.0)
    executor(ledger, action, by=guard(Limits(max_ttl_s=500.0))).step(100.0)
    assert record_of(ledger).expires_at == 600.0
    assert action.since["act-1"] == (100.0, 500.0)


def test_what_waited_longer_than_it_was_to_last_is_not_done(ledger: Ledger, action: MemoryAction) -> None:
    ledger.record([decision(ttl_s=60.0)], 100.0)
    executor(ledger, action).step(160.0)
    assert (record_of(ledger).status, record_of(ledger).why) == (Status.EXPIRED, Why.TTL_PASSED)
    assert action.changes == []


def test_a_passing_failure_is_tried_again_with_backoff(ledger: Ledger, action: MemoryAction) -> None:
    runner = executor(ledger, action)
    action.faults = ["transient", "transient"]
    ledger.record([decision()], 100.0)
    runner.step(100.0)
    record = record_of(ledger)
    assert (record.status, record.why, record.next_try_at) == (Status.PENDING, Why.TRANSIENT_ERROR, 101.0)
    assert runner.step(100.9) == []
    runner.step(101.0)
    assert record_of(ledger).next_try_at == 103.0
    runner.step(103.0)
    record = record_of(ledger)
    assert (record.status, record.attempts, record.next_try_at) == (Status.APPLIED, 0, None)
    assert (record.claimed_at, record.expires_at) == (103.0, 1003.0)


@pytest.mark.parametrize("fault", ["transient", "torn", "lost"])
def test_tries_are_bounded_and_nothing_is_left_behind(ledger: Ledger, action: MemoryAction, fault: str) -> None:
    runner = Executor(ledger, {action.type: action}, guard(), dry_run=False, retry=RetryPolicy(attempts=3, first_s=1.0))
    action.faults = [fault] * 3
    ledger.record([decision()], 100.0)
    for now in (100.0, 101.0, 103.0, 107.0, 999.0):
        runner.run_pending(now)
    record = record_of(ledger)
    assert (record.status, record.why) == (Status.FAILED, Why.TRANSIENT_ERROR)
    assert record.detail
    assert action.faults == []
    assert action.there == set()
    assert_log_is_whole(ledger, "act-1")


@pytest.mark.parametrize(
    ("fault", "status", "why"),
    [
        ("permanent", Status.FAILED, Why.PERMANENT_ERROR),
        ("refused", Status.REFUSED, Why.NOTHING_TO_DO),
        ("raises", Status.FAILED, Why.PERMANENT_ERROR),
    ],
)
def test_other_failures_are_final_at_once(
    ledger: Ledger, action: MemoryAction, fault: str, status: Status, why: Why
) -> None:
    action.faults = [fault]
    ledger.record([decision(), decision(id="act-2")], 100.0)
    executor(ledger, action).step(100.0)
    assert (record_of(ledger).status, record_of(ledger).why) == (status, why)
    assert record_of(ledger, "act-2").status is Status.APPLIED


def test_undo_data_that_cannot_be_stored_is_a_failure_without_a_trace(ledger: Ledger) -> None:
    class Unstorable(MemoryAction):
        def apply(self, decision: Decision, now: float) -> Outcome:
            super().apply(decision, now)
            return Outcome(ok=True, why=Why.DONE, undo={"file": object()})

    action = Unstorable()
    ledger.record([decision()], 100.0)
    executor(ledger, action).step(100.0)
    assert record_of(ledger).status is Status.FAILED
    assert action.changes == [("act-1", "+"), ("act-1", "-")]


def test_taking_back_is_never_given_up(ledger: Ledger, action: MemoryAction) -> None:
    runner = executor(ledger, action)
    ledger.record([decision(ttl_s=60.0)], 100.0)
    runner.step(100.0)
    action.faults = ["transient", "raises", "lost"] * 10
    now = 160.0
    while action.faults:
        runner.step(now)
        record = record_of(ledger)
        assert record.status is Status.REVERTING
        assert record.next_try_at is not None
        assert 0 < record.next_try_at - now <= 300.0
        assert runner.step(record.next_try_at - 0.1) == []
        now = record.next_try_at
    runner.step(now)
    assert (record_of(ledger).status, record_of(ledger).why) == (Status.EXPIRED, Why.TTL_PASSED)
    assert action.there == set()


def test_what_somebody_else_took_over_ends_when_its_time_is_up(ledger: Ledger, action: MemoryAction) -> None:
    runner = executor(ledger, action)
    ledger.record([decision(ttl_s=60.0)], 100.0)
    runner.step(100.0)
    action.faults = ["changed"]
    runner.step(160.0)
    assert (record_of(ledger).status, record_of(ledger).why) == (Status.EXPIRED, Why.CHANGED_SINCE)


def test_a_crash_before_or_after_the_effect_leaves_one_effect(ledger: Ledger, action: MemoryAction) -> None:
    for i, fault in enumerate(["crash-before", "crash-after"]):
        runner = executor(ledger, action)
        ledger.record([decision(id=f"a{i}")], 100.0)
        action.faults = [fault]
        with pytest.raises(Crash):
            runner.step(100.0)
        assert record_of(ledger, f"a{i}").status is Status.APPLYING
        assert runner.step(105.0) == []
        assert [r.status for r in executor(ledger, action).recover(110.0)] == [Status.APPLIED]
        # the time to live counts from before the crash, as the effect itself was told
        assert record_of(ledger, f"a{i}").expires_at == 1000.0
    assert action.changes == [("a0", "+"), ("a1", "+")]


def test_a_crash_while_taking_back_is_finished_by_the_next_step(ledger: Ledger, action: MemoryAction) -> None:
    for i, fault in enumerate(["crash-before", "crash-after"]):
        runner = executor(ledger, action)
        ledger.record([decision(id=f"a{i}", ttl_s=60.0)], 100.0)
        runner.step(100.0)
        action.faults = [fault]
        with pytest.raises(Crash):
            runner.step(160.0)
        executor(ledger, action).step(161.0)
        assert record_of(ledger, f"a{i}").status is Status.EXPIRED
    assert action.there == set()


def test_recovery_after_its_time_leaves_nothing(ledger: Ledger, action: MemoryAction) -> None:
    action.faults = ["crash-after"]
    ledger.record([decision(ttl_s=60.0)], 100.0)
    with pytest.raises(Crash):
        executor(ledger, action).step(100.0)
    executor(ledger, action).recover(160.0)
    assert record_of(ledger).status is Status.EXPIRED
    assert action.there == set()


@pytest.mark.parametrize("dry_run", [True, False])
def test_recovery_asks_the_guard_and_the_mode_again(ledger: Ledger, action: MemoryAction, dry_run: bool) -> None:
    action.faults = ["crash-after"]
    ledger.record([decision()], 100.0)
    with pytest.raises(Crash):
        executor(ledger, action).step(100.0)
    stricter = guard() if dry_run else guard(networks=("203.0.113.0/24",))
    executor(ledger, action, dry_run=dry_run, by=stricter).recover(110.0)
    assert record_of(ledger).status is (Status.SIMULATED if dry_run else Status.REFUSED)
    assert action.there == set()


def test_what_is_allowlisted_since_is_lifted_at_start(ledger: Ledger, action: MemoryAction) -> None:
    ledger.record([decision(), decision(id="act-2", value="192.0.2.1")], 100.0)
    executor(ledger, action).step(100.0)
    executor(ledger, action, by=guard(networks=("203.0.113.0/24",))).recover(110.0)
    assert (record_of(ledger).status, record_of(ledger).why) == (Status.REVERTED, Why.ALLOWLISTED)
    assert action.there == {"act-2"}


def test_the_lock_is_held_while_acting(ledger: Ledger, tmp_path: Path) -> None:
    import fcntl
    import os

    class Trying(MemoryAction):
        def apply(self, decision: Decision, now: float) -> Outcome:
            fd = os.open(tmp_path / ".vedette.db.lock", os.O_RDWR)
            with pytest.raises(BlockingIOError):
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.close(fd)
            return super().apply(decision, now)

    ledger.record([decision()], 100.0)
    executor(ledger, Trying()).step(100.0)
    assert record_of(ledger).status is Status.APPLIED
    with locked(ledger.path):
        pass


_FAULTS = st.lists(
    st.sampled_from(
        ["ok", "transient", "permanent", "refused", "raises", "torn", "lost", "changed", "crash-before", "crash-after"]
    ),
    max_size=3,
)
_IDS = st.sampled_from([f"a{i}" for i in range(5)])


class ExecutorMachine(RuleBasedStateMachine):
    """Any sequence of deciding, acting, undoing, waiting, failing and crashing."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.action = MemoryAction()
        self.now = 1000.0
        self.finished: dict[str, int] = {}
        self.open()

    def open(self) -> None:
        self.ledger = Ledger(Path(self.folder.name) / "vedette.db")
        self.executor = executor(self.ledger, self.action)

    def teardown(self) -> None:
        """Whatever happened: with the faults gone and the time over, nothing is left in force."""
        self.action.faults = []
        self.executor.recover(self.now)
        for _ in range(3):
            self.now += 1000.0
            self.executor.step(self.now)
        assert self.action.there == set()
        assert all(record.status in FINAL for record in self.ledger.find())
        self.everything_fits()
        self.ledger.close()
        self.folder.cleanup()

    def surviving(self, act: str, *args: object) -> None:
        try:
            getattr(self.executor, act)(*args)
        except Crash:
            self.ledger.close()
            self.open()
            self.action.faults = []
            self.executor.recover(self.now)

    @rule(ids=st.lists(_IDS, max_size=3), ttl_s=st.sampled_from([5.0, 50.0, 500.0]))
    def decide(self, ids: list[str], ttl_s: float) -> None:
        known = {record.decision.id for record in self.ledger.find()}
        new = self.ledger.record([decision(id=i, incident_id=i, ttl_s=ttl_s) for i in ids], self.now)
        assert set(new) == set(ids) - known

    @rule(seconds=st.sampled_from([0.5, 2.0, 20.0, 200.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(faults=_FAULTS)
    def run(self, faults: list[str]) -> None:
        self.action.faults = faults
        self.surviving("run_pending", self.now)

    @rule(faults=_FAULTS)
    def expire(self, faults: list[str]) -> None:
        self.action.faults = faults
        self.surviving("expire_due", self.now)

    @precondition(lambda self: self.ledger.find())
    @rule(data=st.data(), faults=_FAULTS)
    def undo(self, data: st.DataObject, faults: list[str]) -> None:
        known = sorted(record.decision.id for record in self.ledger.find())
        self.action.faults = faults
        self.surviving("undo", data.draw(st.sampled_from(known)), self.now, "ann")

    @rule()
    def expire_in_peace(self) -> None:
        """After an untroubled pass nothing stands past its time but what waits for another try."""
        self.action.faults = []
        self.executor.expire_due(self.now)
        for record in self.ledger.find():
            if record.decision.id in self.action.there and record.status is Status.APPLIED:
                assert record.expires_at is not None
                assert record.expires_at > self.now
                since, ttl_s = self.action.since[record.decision.id]
                assert ttl_s is not None
                assert since + ttl_s <= record.expires_at

    @invariant()
    def everything_fits(self) -> None:
        for record in self.ledger.find():
            action_id = record.decision.id
            assert_log_is_whole(self.ledger, action_id)
            there = action_id in self.action.there
            if record.status in FINAL:
                assert not there
                assert self.finished.setdefault(action_id, record.revision) == record.revision
            if there and record.status is Status.PENDING:
                assert record.attempts
            assert record.status is not Status.APPLYING

    @invariant()
    def nothing_is_done_twice(self) -> None:
        for record in self.ledger.find():
            signs = [sign for action_id, sign in self.action.changes if action_id == record.decision.id]
            assert signs == ["+", "-"] * (len(signs) // 2) + ["+"] * (len(signs) % 2)
            done = [e for e in self.ledger.log(record.decision.id) if e.to_status is Status.APPLIED]
            assert sum(entry.from_status is Status.APPLYING for entry in done) <= 1


ExecutorMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25)
TestExecutorMachine = ExecutorMachine.TestCase
