"""The outbox: coalescing, timing, backoff, crashes. Time is passed in; nothing waits."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from notices import notice

from responders.channel import Pending, SendError
from responders.outbox import KEEP_S, Outbox

WAIT_S, INTERVAL_S = 2.0, 30.0


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    box = Outbox(tmp_path / "vedette.db")
    yield box
    box.close()


def due(outbox: Outbox, now: float, channel: str = "slack") -> Pending | None:
    return outbox.due(channel, now, WAIT_S, INTERVAL_S)


def take(outbox: Outbox, now: float, channel: str = "slack") -> Pending:
    item = due(outbox, now, channel)
    assert item is not None
    outbox.begin(item)
    return item


def deliver(outbox: Outbox, now: float, ref: str = "ref") -> Pending:
    item = take(outbox, now)
    outbox.sent(item, ref, now)
    return item


def test_first_message_waits_for_more_evidence(outbox: Outbox) -> None:
    assert outbox.put("slack", notice(1), 100.0)
    assert due(outbox, 101.9) is None
    assert outbox.due_at("slack", WAIT_S, INTERVAL_S) == 102.0
    assert outbox.put("slack", notice(2, findings=5), 101.5)
    item = due(outbox, 102.0)  # the wait counts from the first: evidence that keeps coming cannot put it off
    assert item is not None
    assert (item.notice.revision, item.notice.findings, item.sent) == (2, 5, None)


@pytest.mark.parametrize("revision", [4, 5])
def test_only_a_newer_revision_replaces(outbox: Outbox, revision: int) -> None:
    outbox.put("slack", notice(5), 0.0)
    assert not outbox.put("slack", notice(revision, title="older"), 1.0)
    assert deliver(outbox, 10.0).notice == notice(5)
    assert not outbox.put("slack", notice(5), 11.0)  # a replay after a crash: announced once
    assert due(outbox, 1e6) is None
    assert outbox.due_at("slack", WAIT_S, INTERVAL_S) is None


def test_revision_that_says_nothing_new_is_not_sent(outbox: Outbox) -> None:
    outbox.put("slack", notice(1), 0.0)
    deliver(outbox, 10.0)
    assert outbox.put("slack", notice(2), 11.0)
    assert not outbox.put("slack", notice(3, findings=1), 12.0)
    assert due(outbox, 1e6) is None
    assert outbox.put("slack", notice(4), 13.0)
    assert deliver(outbox, 50.0).notice == notice(4)


def test_updates_wait_for_the_interval(outbox: Outbox) -> None:
    outbox.put("slack", notice(1), 0.0)
    deliver(outbox, 10.0, ref="C1/1.0")
    outbox.put("slack", notice(2), 11.0)
    outbox.put("slack", notice(3), 12.0)
    assert due(outbox, 39.9) is None
    item = due(outbox, 40.0)
    assert item is not None
    assert (item.notice.revision, item.remote_ref, item.sent) == (3, "C1/1.0", notice(1))


@pytest.mark.parametrize(
    ("change", "at_once"),
    [
        ({"severity": "high"}, True),
        ({"status": "resolved"}, True),
        ({"severity": "low"}, False),
        ({"summary": "more"}, False),
    ],
)
def test_escalation_and_change_of_status_skip_the_interval(
    outbox: Outbox, change: dict[str, str], at_once: bool
) -> None:
    outbox.put("slack", notice(1), 0.0)
    deliver(outbox, 10.0)
    outbox.put("slack", notice(2, **change), 10.5)
    assert (due(outbox, 10.5) is not None) is at_once


def test_an_escalation_withdrawn_before_it_was_sent_is_no_longer_urgent(outbox: Outbox) -> None:
    outbox.put("slack", notice(1), 0.0)
    deliver(outbox, 10.0)
    outbox.put("slack", notice(2, status="contained"), 11.0)
    outbox.put("slack", notice(3), 12.0)
    assert due(outbox, 12.0) is None


def test_what_comes_while_a_message_is_on_its_way_is_sent_afterwards(outbox: Outbox) -> None:
    outbox.put("slack", notice(1), 0.0)
    item = take(outbox, 5.0)
    outbox.put("slack", notice(2, severity="critical"), 5.5)
    outbox.sent(item, "ref", 6.0)
    later = due(outbox, 6.0)  # urgent against what was sent, not against what was queued
    assert later is not None
    assert later.notice.revision == 2


def test_dead_service_is_tried_less_and_less_often_but_forever(outbox: Outbox) -> None:
    outbox.put("slack", notice(1), 0.0)
    now, delays = 10.0, []
    for _ in range(12):
        item = take(outbox, now)
        delays.append(outbox.failed(item, SendError("connection refused"), now))
        assert due(outbox, now + delays[-1] - 0.01) is None
        now += delays[-1]
    assert delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert deliver(outbox, now).attempts == 12


def test_failure_of_the_service_holds_up_its_other_messages_and_no_other_channel(outbox: Outbox) -> None:
    other = notice(1, incident_id="inc-b")
    for channel in ("slack", "email"):
        outbox.put(channel, notice(1), 0.0)
        outbox.put(channel, other, 0.0)
    outbox.failed(take(outbox, 10.0), SendError("rate limited", retry_after_s=17.0), 10.0)
    assert due(outbox, 26.9) is None
    assert due(outbox, 10.0, "email") is not None
    outbox.put("slack", notice(1, incident_id="inc-c"), 12.0)
    assert due(outbox, 20.0) is None, "a new incident must not make us ask a service that told us to wait"
    deliver(outbox, 27.0)
    deliver(outbox, 27.0)
    deliver(outbox, 27.0)
    assert due(outbox, 27.0) is None


def test_pause_outlives_a_restart(tmp_path: Path) -> None:
    first = Outbox(tmp_path / "vedette.db")
    first.put("slack", notice(1), 0.0)
    first.failed(take(first, 10.0), SendError("rate limited", retry_after_s=600.0), 10.0)
    first.close()
    second = Outbox(tmp_path / "vedette.db")
    second.forgive()
    assert due(second, 609.0) is None
    assert due(second, 610.0) is not None
    second.close()


def test_refused_message_waits_alone(outbox: Outbox) -> None:
    outbox.put("slack", notice(1, severity="critical"), 0.0)
    outbox.put("slack", notice(1, incident_id="inc-b"), 0.0)
    refused = take(outbox, 10.0)
    delay_s = outbox.failed(refused, SendError("invalid_blocks", permanent=True, whole_channel=False), 10.0)
    assert delay_s == 900.0
    assert deliver(outbox, 10.0).notice.incident_id == "inc-b"
    assert due(outbox, 909.9) is None
    assert take(outbox, 910.0).notice.incident_id == refused.notice.incident_id


def test_permanent_refusal_keeps_the_message_and_a_restart_tries_it_at_once(outbox: Outbox) -> None:
    outbox.put("slack", notice(1), 0.0)
    assert outbox.failed(take(outbox, 10.0), SendError("invalid_auth", permanent=True), 10.0) == 900.0
    assert due(outbox, 100.0) is None
    [backlog] = outbox.backlog(100.0)
    assert (backlog.channel, backlog.waiting, backlog.oldest_s, backlog.last_error) == (
        "slack",
        1,
        100.0,
        "invalid_auth",
    )
    outbox.forgive()
    deliver(outbox, 100.0)
    assert outbox.backlog(100.0) == []


@pytest.mark.parametrize(("asked_s", "waited_s"), [(0.0, 1.0), (7.0, 7.0), (1e9, 3600.0)])
def test_what_the_service_asks_for_is_honoured_within_reason(outbox: Outbox, asked_s: float, waited_s: float) -> None:
    outbox.put("slack", notice(1), 0.0)
    assert outbox.failed(take(outbox, 10.0), SendError("later", retry_after_s=asked_s), 10.0) == waited_s


def test_crash_between_sending_and_recording_leaves_the_message_uncertain(tmp_path: Path) -> None:
    first = Outbox(tmp_path / "vedette.db")
    first.put("slack", notice(1), 0.0)
    assert not take(first, 10.0).uncertain
    first.close()  # neither sent nor failed was recorded
    second = Outbox(tmp_path / "vedette.db")
    item = due(second, 10.0)
    assert item is not None
    assert item.uncertain
    second.sent(item, "ref", 11.0)
    second.put("slack", notice(2, status="resolved"), 12.0)
    again = due(second, 12.0)
    assert again is not None
    assert not again.uncertain
    second.close()


@pytest.mark.parametrize("uncertain", [True, False])
def test_failure_says_whether_the_message_may_have_arrived(outbox: Outbox, uncertain: bool) -> None:
    outbox.put("slack", notice(1), 0.0)
    outbox.failed(take(outbox, 10.0), SendError("x", uncertain=uncertain), 10.0)
    first = take(outbox, 20.0)
    assert first.uncertain is uncertain
    outbox.failed(first, SendError("connection refused"), 20.0)
    second = due(outbox, 30.0)
    assert second is not None
    assert second.uncertain is uncertain, "a later failure that is certain says nothing about the earlier try"


def test_worst_first_then_new_before_updates(outbox: Outbox) -> None:
    outbox.put("slack", notice(1), 0.0)
    deliver(outbox, 10.0)
    outbox.put("slack", notice(2), 11.0)
    outbox.put("slack", notice(1, incident_id="inc-new"), 50.0)
    outbox.put("slack", notice(1, incident_id="inc-bad", severity="critical"), 60.0)
    order = [deliver(outbox, 100.0).notice.incident_id for _ in range(3)]
    assert order == ["inc-bad", "inc-new", notice().incident_id]


def test_clock_that_was_set_back_holds_up_nothing(outbox: Outbox) -> None:
    outbox.put("slack", notice(1), 1e9)
    assert due(outbox, 1e6) is not None


def test_refresh_reaches_only_channels_that_know_the_incident(outbox: Outbox) -> None:
    outbox.put("slack", notice(1), 0.0)
    assert outbox.refresh(notice(2), 1.0) == ["slack"]
    assert outbox.refresh(notice(2), 1.0) == []
    assert outbox.refresh(notice(1, incident_id="inc-quiet"), 1.0) == []
    assert outbox.revision("slack", notice().incident_id) == 2
    assert outbox.revision("email", notice().incident_id) is None


def test_settled_rows_are_dropped_after_a_month_and_waiting_ones_never(outbox: Outbox) -> None:
    outbox.put("slack", notice(1), 0.0)
    deliver(outbox, 10.0)
    outbox.put("email", notice(1, incident_id="inc-stuck"), 10.0)
    outbox.put("slack", notice(1, incident_id="inc-b"), 11.0 + KEEP_S)
    deliver(outbox, 20.0 + KEEP_S)
    assert outbox.revision("slack", notice().incident_id) is None
    assert outbox.revision("email", "inc-stuck") == 1


def test_lone_surrogates_survive(outbox: Outbox) -> None:
    hostile = notice(1, subject="client:\ud800\x00", facts=(("\udfff", "x"),))
    outbox.put("slack", hostile, 0.0)
    assert deliver(outbox, 10.0).notice == hostile


def test_failed_write_leaves_the_row_as_it_was(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "vedette.db")
    box.put("slack", notice(1), 0.0)
    blocker = sqlite3.connect(tmp_path / "vedette.db")
    blocker.execute("CREATE TRIGGER full BEFORE UPDATE ON outbox BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    blocker.commit()
    with pytest.raises(sqlite3.IntegrityError, match="disk full"):
        box.put("slack", notice(2), 1.0)
    blocker.execute("DROP TRIGGER full")
    blocker.commit()
    assert deliver(box, 10.0).notice == notice(1)
    box.close()
    blocker.close()


def test_threads_may_put_at_once(outbox: Outbox) -> None:
    threads = [
        threading.Thread(target=lambda start=start: [outbox.put("slack", notice(r), 0.0) for r in range(start, 40, 4)])
        for start in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert deliver(outbox, 10.0).notice.revision == 39


class Coalescing(RuleBasedStateMachine):
    """Whatever comes in between, people are told ever newer states, and the newest in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(Path(":memory:"))
        self.now = 1000.0
        self.newest: dict[str, int] = {}
        self.told: dict[str, list[int]] = {}
        self.in_flight: Pending | None = None

    @rule(incident=st.sampled_from("ab"), revision=st.integers(0, 20), severity=st.sampled_from(["low", "high"]))
    def put(self, incident: str, revision: int, severity: str) -> None:
        news = self.outbox.put("slack", notice(revision, incident_id=incident, severity=severity), self.now)
        assert news is (revision > self.newest.get(incident, -1))
        self.newest[incident] = max(revision, self.newest.get(incident, -1))

    @rule(seconds=st.floats(0, 400))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def begin(self) -> None:
        item = self.outbox.due("slack", self.now, WAIT_S, INTERVAL_S)
        if item is not None:
            self.outbox.begin(item)
        self.in_flight = item

    @rule()
    def arrive(self) -> None:
        if self.in_flight is not None:
            self.told.setdefault(self.in_flight.notice.incident_id, []).append(self.in_flight.notice.revision)
            self.outbox.sent(self.in_flight, "ref", self.now)
        self.in_flight = None

    @rule(whole_channel=st.booleans(), permanent=st.booleans())
    def fail(self, whole_channel: bool, permanent: bool) -> None:
        if self.in_flight is not None:
            error = SendError("x", whole_channel=whole_channel, permanent=permanent)
            self.outbox.failed(self.in_flight, error, self.now)
        self.in_flight = None

    @invariant()
    def told_in_order_and_never_twice(self) -> None:
        for revisions in self.told.values():
            assert revisions == sorted(set(revisions))

    def teardown(self) -> None:
        self.in_flight = None
        self.now += 4000.0
        while (item := self.outbox.due("slack", self.now, WAIT_S, INTERVAL_S)) is not None:
            self.told.setdefault(item.notice.incident_id, []).append(item.notice.revision)
            self.outbox.sent(item, "ref", self.now)
        assert {incident: revisions[-1] for incident, revisions in self.told.items()} == self.newest
        self.told_in_order_and_never_twice()
        self.outbox.close()


TestCoalescing = Coalescing.TestCase
TestCoalescing.settings = settings(max_examples=60, stateful_step_count=30)
