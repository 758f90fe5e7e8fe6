"""The delivery loop, with real servers that die, refuse and come back, and processes that are killed."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from notices import notice
from structlog.testing import LogCapture

from replay.stand_ins import Answer, Post, SlackStandIn, SmtpStandIn
from replay.stand_ins import Mail as ReceivedMail
from replay.stand_ins.slack import TOKEN
from responders import deliver
from responders.channel import Channel, Pending, SendError
from responders.deliver import Deliverer
from responders.mail import Mail, MailServer
from responders.outbox import Outbox
from responders.slack import SlackBot

CHANNEL = "C0SECURITY"
Logs = list[MutableMapping[str, Any]]


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    box = Outbox(tmp_path / "vedette.db")
    yield box
    box.close()


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Logs:
    """What the delivery logs, whatever logging other tests have configured."""
    capture = LogCapture()
    wrapper = structlog.make_filtering_bound_logger(logging.INFO)
    logger = structlog.wrap_logger(None, processors=[capture], wrapper_class=wrapper, cache_logger_on_first_use=False)
    monkeypatch.setattr(deliver, "_log", logger)
    return capture.entries


def slack_bot(slack: SlackStandIn) -> SlackBot:
    return SlackBot(TOKEN, CHANNEL, base_url=slack.base_url)


def mailer(server: SmtpStandIn) -> Mail:
    settings = MailServer(host="127.0.0.1", port=server.port, security="none", timeout_s=5.0)
    return Mail(settings, "vedette@example.org", ("oncall@example.org",), lambda: 0.0)


class Recorder:
    """A channel that keeps what it is given, after whatever it is told to do first."""

    update_interval_s = 0.0

    def __init__(self) -> None:
        self.items: list[Pending] = []
        self.arrived = asyncio.Event()
        self.failures: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()

    async def send(self, item: Pending) -> str:
        self.entered.set()
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.items.append(item)
        self.arrived.set()
        return f"ref-{len(self.items)}"


@asynccontextmanager
async def running(deliverer: Deliverer, flush_s: float = 5.0) -> AsyncIterator[None]:
    task = asyncio.create_task(deliverer.run())
    try:
        yield
    finally:
        await deliverer.stop(flush_s)
        await task


async def test_one_attack_is_one_message_that_is_updated(outbox: Outbox) -> None:
    async with SlackStandIn() as slack:
        deliverer = Deliverer(outbox, {"slack": slack_bot(slack)}, lambda: 0.0)
        now, sent = 1000.0, 0
        for revision in range(1, 101):  # a finding every second
            outbox.put("slack", notice(revision, findings=revision), now)
            sent += await deliverer.deliver_once(now)
            now += 1.0
        sent += await deliverer.deliver_once(now + 30.0)
        [message] = slack.messages()
        assert sent == 5  # at 2, 32, 62, 92 and 131 s
        assert message.edits == 4
        fields = [field["text"] for block in message.blocks for field in block.get("fields", [])]
        assert dict(zip(fields[::2], fields[1::2], strict=True))["Findings"] == "100"


async def test_long_attack_is_told_hourly_by_mail_and_its_turns_at_once(outbox: Outbox) -> None:
    async with SmtpStandIn() as server:
        deliverer = Deliverer(outbox, {"email": mailer(server)}, lambda: 0.0)
        for revision in range(1, 4001):  # a finding every two seconds
            status, severity = ("contained" if revision > 1000 else "open"), ("high" if revision > 50 else "medium")
            outbox.put("email", notice(revision, status=status, severity=severity), 2.0 * revision)
            if revision % 10 == 0:
                await deliverer.deliver_once(2.0 * revision)
        assert [m.message["Message-ID"].partition(".r")[2].partition("@")[0] for m in server.mails] == [
            "10",
            "60",
            "1010",
            "2810",
        ]
        assert {m.message["In-Reply-To"] for m in server.mails[1:]} == {
            m.message["Message-ID"] for m in server.mails[:-1]
        }


async def test_dead_mail_server_delays_and_loses_none(outbox: Outbox, logs: Logs) -> None:
    async with SmtpStandIn() as server:
        deliverer = Deliverer(outbox, {"email": mailer(server)}, lambda: 0.0)
        server.stop()
        for i in range(20):
            outbox.put("email", notice(1, incident_id=f"inc-{i}"), 0.0)
        now = 10.0
        for _ in range(5):
            assert await deliverer.deliver_once(now) == 0
            now += 20.0
        assert [log["retry_in_s"] for log in logs] == [1, 2, 4, 8, 16], "one try a time, not one per message"
        await server.start()
        assert await deliverer.deliver_once(now) == 20
        assert sorted(m.message["Message-ID"] for m in server.mails) == sorted(
            f"<inc-{i}.r1@example.org>" for i in range(20)
        )
        assert await deliverer.deliver_once(now + 1e6) == 0
        assert len(server.mails) == 20


async def test_slack_that_limits_fails_dies_and_comes_back(outbox: Outbox) -> None:
    async with SlackStandIn() as slack:
        deliverer = Deliverer(outbox, {"slack": slack_bot(slack)}, lambda: 0.0)
        outbox.put("slack", notice(1), 0.0)
        outbox.put("slack", notice(1, incident_id="inc-b"), 0.0)
        slack.answer(Answer(429, retry_after="120"), Answer(503), Answer(error="internal_error"))
        assert await deliverer.deliver_once(10.0) == 0
        assert await deliverer.deliver_once(129.0) == 0
        assert slack.calls == ["chat.postMessage"], "nothing is asked before Retry-After has passed"
        assert await deliverer.deliver_once(130.0) == 0
        assert await deliverer.deliver_once(140.0) == 0
        await slack.stop()
        assert await deliverer.deliver_once(160.0) == 0
        await slack.start()
        assert await deliverer.deliver_once(200.0) == 2
        assert len(slack.messages()) == 2


async def test_dead_channel_does_not_hold_up_the_other(outbox: Outbox) -> None:
    hanging, healthy = Recorder(), Recorder()
    hanging.gate.clear()
    outbox.put("slack", notice(1), 0.0)
    deliverer = Deliverer(outbox, {"slack": hanging, "email": healthy}, lambda: 1000.0, group_wait_s=0.0)
    async with running(deliverer):
        await hanging.entered.wait()
        for i in range(3):
            healthy.arrived.clear()
            outbox.put("email", notice(1, incident_id=f"inc-{i}"), 0.0)
            deliverer.wake()
            await healthy.arrived.wait()
        assert hanging.items == []
        hanging.gate.set()
    assert len(hanging.items) == 1


async def test_wakes_from_another_thread(outbox: Outbox) -> None:
    channel = Recorder()
    deliverer = Deliverer(outbox, {"slack": channel}, lambda: 1000.0, group_wait_s=0.0)
    async with running(deliverer):
        await asyncio.to_thread(outbox.put, "slack", notice(1), 0.0)
        threading.Thread(target=deliverer.wake).start()
        await channel.arrived.wait()
    deliverer.wake()  # after the end: harmless


async def test_stop_sends_what_waits_for_its_group(outbox: Outbox) -> None:
    channel = Recorder()
    deliverer = Deliverer(outbox, {"slack": channel}, lambda: 1000.0, group_wait_s=3000.0)
    async with running(deliverer):
        outbox.put("slack", notice(1), 1000.0)
    assert [item.notice.revision for item in channel.items] == [1]


async def test_stop_is_bounded_and_leaves_the_message_queued_and_uncertain(outbox: Outbox) -> None:
    channel = Recorder()
    channel.gate.clear()
    outbox.put("slack", notice(1), 0.0)
    async with running(Deliverer(outbox, {"slack": channel}, lambda: 1000.0), flush_s=0.0):
        await channel.entered.wait()
    item = outbox.due("slack", 1000.0, 2.0, 30.0)
    assert item is not None
    assert item.uncertain


async def test_send_that_never_ends_is_given_up(outbox: Outbox) -> None:
    channel = Recorder()
    channel.gate.clear()
    outbox.put("slack", notice(1), 0.0)
    deliverer = Deliverer(outbox, {"slack": channel}, lambda: 0.0, send_limit_s=0.0)
    assert await deliverer.deliver_once(10.0) == 0
    channel.gate.set()
    assert await Deliverer(outbox, {"slack": channel}, lambda: 0.0).deliver_once(11.0) == 1
    assert channel.items[0].uncertain


async def test_fault_of_ours_in_one_message_does_not_hold_up_the_others(outbox: Outbox, logs: Logs) -> None:
    channel = Recorder()
    channel.failures = [KeyError("no such\nfield")]
    outbox.put("slack", notice(1, severity="critical"), 0.0)
    outbox.put("slack", notice(1, incident_id="inc-b"), 0.0)
    deliverer = Deliverer(outbox, {"slack": channel}, lambda: 0.0)
    assert await deliverer.deliver_once(10.0) == 1
    assert channel.items[0].notice.incident_id == "inc-b"
    assert "KeyError" in logs[0]["error"]
    assert "\n" not in logs[0]["error"]
    assert await deliverer.deliver_once(11.0) == 1


async def test_permanent_refusal_is_logged_as_such_and_kept(outbox: Outbox, logs: Logs) -> None:
    async with SlackStandIn() as slack:
        slack.answer(Answer(error="channel_not_found"))
        outbox.put("slack", notice(1), 0.0)
        deliverer = Deliverer(outbox, {"slack": slack_bot(slack)}, lambda: 1000.0)
        assert await deliverer.deliver_once(10.0) == 0
        assert logs[0]["log_level"] == "error"
        assert "channel_not_found" in logs[0]["error"]
        assert logs[0]["event"] == "notification refused; needs a person"
        async with running(deliverer):  # the restart after the cure
            await slack.until(lambda: len(slack.posts) == 1)


class FullDisk(Outbox):
    """Cannot write at first."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.tried = threading.Event()

    def begin(self, item: Pending) -> None:
        if not self.tried.is_set():
            self.tried.set()
            raise sqlite3.OperationalError("database or disk is full")
        super().begin(item)


async def test_outbox_that_fails_sends_nothing_and_is_tried_again(tmp_path: Path, logs: Logs) -> None:
    box = FullDisk(tmp_path / "vedette.db")
    box.put("slack", notice(1), 0.0)
    channel = Recorder()
    deliverer = Deliverer(box, {"slack": channel}, lambda: 1000.0)
    async with running(deliverer):
        await asyncio.to_thread(box.tried.wait)
        assert channel.items == []
        deliverer.wake()
        await channel.arrived.wait()
    assert logs[0]["event"] == "outbox failed"
    assert len(channel.items) == 1
    box.close()


async def test_cancelling_run_ends_its_workers(outbox: Outbox) -> None:
    channel = Recorder()
    channel.gate.clear()
    outbox.put("slack", notice(1), 0.0)
    task = asyncio.create_task(Deliverer(outbox, {"slack": channel}, lambda: 1000.0).run())
    await channel.entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert {t.get_name() for t in asyncio.all_tasks()} == {asyncio.current_task().get_name()}  # type: ignore[union-attr]  # in a task


async def test_rate_limited_send_error_keeps_order_by_severity(outbox: Outbox) -> None:
    channel = Recorder()
    channel.failures = [SendError("rate limited", retry_after_s=5.0)]
    for severity in ("low", "critical", "medium", "high"):
        outbox.put("slack", notice(1, incident_id=f"inc-{severity}", severity=severity), 0.0)
    deliverer = Deliverer(outbox, {"slack": channel}, lambda: 0.0)
    assert await deliverer.deliver_once(10.0) == 0
    assert await deliverer.deliver_once(15.0) == 4
    assert [item.notice.severity for item in channel.items] == ["critical", "high", "medium", "low"]


CHILD = """
import asyncio, sys, time
from pathlib import Path
from responders.deliver import Deliverer
from responders.mail import Mail, MailServer
from responders.outbox import Outbox
from responders.slack import SlackBot

kind, database, address, secret = sys.argv[1:]
if kind == "slack":
    channel = SlackBot(secret, "C0SECURITY", base_url=address)
else:
    server = MailServer(host="127.0.0.1", port=int(address), security="none")
    channel = Mail(server, "vedette@example.org", ("oncall@example.org",), time.time)
asyncio.run(Deliverer(Outbox(Path(database)), {kind: channel}, time.time).deliver_once(1000.0))
"""


class Killer:
    """Kills the child the moment the server has its message, before the server says so."""

    def __init__(self) -> None:
        self.child: asyncio.subprocess.Process | None = None

    def __call__(self, _message: Post | ReceivedMail) -> None:
        if self.child is not None:
            os.kill(self.child.pid, signal.SIGKILL)
            self.child = None

    async def run(self, kind: str, database: Path, address: str) -> None:
        self.child = child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CHILD, kind, str(database), address, TOKEN
        )
        assert await child.wait() == -signal.SIGKILL


async def after_the_kill(database: Path, name: str, channel: Channel) -> int:
    box = Outbox(database)
    try:
        return await Deliverer(box, {name: channel}, lambda: 0.0).deliver_once(1001.0)
    finally:
        box.close()


def queued(tmp_path: Path, channel: str) -> Path:
    database = tmp_path / "vedette.db"
    box = Outbox(database)
    box.put(channel, notice(1), 0.0)
    box.close()
    return database


async def test_killed_between_sending_and_recording_mail_repeats_its_message_id(tmp_path: Path) -> None:
    killer, database = Killer(), queued(tmp_path, "email")
    async with SmtpStandIn(on_mail=killer) as server:
        await killer.run("email", database, str(server.port))
        assert await after_the_kill(database, "email", mailer(server)) == 1
        first, second = (mail.message for mail in server.mails)
        assert first["Message-ID"] == second["Message-ID"]
        assert await after_the_kill(database, "email", mailer(server)) == 0


@pytest.mark.parametrize(("scopes", "messages"), [({"chat:write", "channels:history"}, 1), ({"chat:write"}, 2)])
async def test_killed_between_sending_and_recording_slack_finds_its_message_where_it_may_look(
    tmp_path: Path, scopes: set[str], messages: int
) -> None:
    killer, database = Killer(), queued(tmp_path, "slack")
    async with SlackStandIn(scopes=frozenset(scopes), on_post=killer) as slack:
        await killer.run("slack", database, slack.base_url)
        assert len(slack.messages()) == 1
        assert await after_the_kill(database, "slack", slack_bot(slack)) == 1
        assert len(slack.messages()) == messages
        assert await after_the_kill(database, "slack", slack_bot(slack)) == 0
