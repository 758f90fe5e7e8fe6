"""The notify action: queues for every channel, once per state of the incident, and can take nothing back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from notices import notice

from responders.actions.notify import Notify
from responders.decision import ActionType, Decision, Outcome, Why
from responders.notice import Notice
from responders.outbox import Outbox

INCIDENT = notice().incident_id
DECISION = Decision(
    id="act-1",
    type=ActionType.NOTIFY,
    scope="incident",
    value=INCIDENT,
    model="digits",
    incident_id=INCIDENT,
    origin="policy",
    reason="extraction (medium) by client:acct-7 on digits",
    decided_ts=0.0,
    ttl_s=None,
    simulated=False,
)


class Known:
    """The incidents the monitor knows, and how often it was woken."""

    def __init__(self, *notices: Notice) -> None:
        self.notices = {n.incident_id: n for n in notices}
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    box = Outbox(tmp_path / "vedette.db")
    yield box
    box.close()


def action(
    outbox: Outbox, known: Known, channels: tuple[str, ...] = ("slack", "email"), min_severity: str = "low"
) -> Notify:
    return Notify(outbox, channels, known.notices.get, min_severity=min_severity, wake=known.wake)


def test_apply_queues_for_every_channel_and_wakes_the_delivery(outbox: Outbox) -> None:
    known = Known(notice(3))
    notify = action(outbox, known)
    outcome = notify.apply(DECISION, 100.0)
    assert (outcome.ok, outcome.why, outcome.detail) == (True, Why.DONE, "queued for slack, email")
    assert known.woken == 1
    for channel in ("slack", "email"):
        item = outbox.due(channel, 102.0, 2.0, 30.0)
        assert item is not None
        assert item.notice == notice(3)
    assert notify.verify(DECISION, outcome.undo)


def test_apply_again_finds_it_so(outbox: Outbox) -> None:
    known = Known(notice(3))
    first = action(outbox, known).apply(DECISION, 100.0)
    again = action(outbox, known).apply(DECISION, 200.0)
    assert (again.ok, again.why, again.undo) == (True, Why.ALREADY_SO, first.undo)
    assert known.woken == 1


def test_escalation_queues_the_newer_state(outbox: Outbox) -> None:
    known = Known(notice(1))
    action(outbox, known).apply(DECISION, 100.0)
    known.notices[INCIDENT] = notice(2, severity="critical")
    assert action(outbox, known).apply(DECISION, 101.0).why is Why.DONE
    assert outbox.revision("slack", INCIDENT) == 2


def test_incident_that_is_not_known_yet_is_tried_again(outbox: Outbox) -> None:
    outcome = action(outbox, Known()).apply(DECISION, 100.0)
    assert (outcome.ok, outcome.why, outcome.retry) == (False, Why.TRANSIENT_ERROR, True)


@pytest.mark.parametrize(
    ("severity", "queued"), [("low", False), ("medium", False), ("high", True), ("critical", True)]
)
def test_incident_below_the_minimum_is_not_announced(outbox: Outbox, severity: str, queued: bool) -> None:
    outcome = action(outbox, Known(notice(severity=severity)), min_severity="high").apply(DECISION, 100.0)
    assert outcome.ok
    assert outcome.why is (Why.DONE if queued else Why.NOTHING_TO_DO)
    assert (outbox.revision("slack", INCIDENT) is not None) is queued


def test_without_channels_there_is_nothing_to_do(outbox: Outbox) -> None:
    notify = action(outbox, Known(notice()), channels=())
    assert notify.apply(DECISION, 100.0) == Outcome(ok=True, why=Why.NOTHING_TO_DO, detail="no channel is configured")
    assert "nobody" in notify.plan(DECISION)


def test_verify_misses_what_is_not_queued(outbox: Outbox) -> None:
    notify = action(outbox, Known(notice()))
    assert not notify.verify(DECISION, {"channels": ["slack"], "revision": 1})
    outbox.put("slack", notice(1), 0.0)
    assert notify.verify(DECISION, {"channels": ["slack"], "revision": 1})
    assert not notify.verify(DECISION, {"channels": ["slack"], "revision": 2})


def test_plan_changes_nothing(outbox: Outbox) -> None:
    assert action(outbox, Known(notice())).plan(DECISION) == f"tell slack, email of {INCIDENT}"
    assert outbox.revision("slack", INCIDENT) is None


def test_revert_says_that_a_message_cannot_be_unsent(outbox: Outbox) -> None:
    notify = action(outbox, Known(notice()))
    undo = notify.apply(DECISION, 100.0).undo
    outcome = notify.revert(DECISION, undo, 200.0)
    assert (outcome.ok, outcome.why) == (True, Why.NOTHING_TO_DO)
    assert "cannot be unsent" in outcome.detail
    assert outbox.revision("slack", INCIDENT) == 1
