"""A worker on a real broker: web pages, its end, an undo beside it, messages, and what it says when it cannot."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import yaml
from brokers import BrokerHandle, free_port
from world import World

from monitor.codec import encode_json
from monitor.event import Event
from monitor.metrics import Metrics
from monitor.store import Store
from replay.demo.stand_in_thread import StandInThread
from replay.schedule import Record
from replay.stand_ins.slack import TOKEN
from responders.decision import ActionType, Status
from responders.ledger import Ledger
from tests.stream.conftest import records

ATTACKER = "client:acct-31"


def until(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
    """Return once it holds; fail if it does not in time."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.05)


def attack(events: list[Event]) -> list[Event]:
    """One attacker's requests."""
    return [e for e in events if e.client == ATTACKER]


def page(world: World, path: str) -> tuple[int, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{world.web_port}{path}", timeout=10.0) as answer:
        return answer.status, answer.read().decode()


def ledger_says(world: World, kind: ActionType) -> list[Status]:
    ledger = Ledger(world.data / "vedette.db")
    try:
        return [r.status for r in ledger.find(kind=kind)]
    finally:
        ledger.close()


def vedette(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "monitor", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120.0, check=False)


def test_pages_end_and_restart(broker: BrokerHandle, tmp_path: Path, baseline: Path, events: list[Event]) -> None:
    """Pages answer on loopback alone; SIGTERM ends the worker with 0; the next one re-reads nothing."""
    world = World(broker, tmp_path, baseline, 2)
    sent = world.play(records(attack(events)))
    worker = world.worker()
    with worker:
        verdicts = worker.until_judged(sent)
        status, body = page(world, "/healthz")
        assert (status, json.loads(body)) == (200, {"status": "ok"})
        status, body = page(world, "/readyz")
        assert (status, json.loads(body)["ready"]) == (200, True)
        until(lambda: 'vedette_actions{status="applied"}' in page(world, "/metrics")[1])
        text = page(world, "/metrics")[1]
        listening = Path("/proc/net/tcp").read_text().splitlines() + Path("/proc/net/tcp6").read_text().splitlines()
        assert worker.stop() == 0
    names = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if line and not line.startswith("#")}
    known = {family.name for family in Metrics().registry.collect()}
    suffixes = ("", "_total", "_created", "_bucket", "_sum", "_count")
    assert names <= {name + suffix for name in known for suffix in suffixes}
    assert "acct-" not in text
    assert f'vedette_events_total{{verdict="diverted"}} {float(verdicts["diverted"])}' in text
    port = f":{world.web_port:04X}"
    bound = [line.split()[1] for line in listening if line.split()[1].endswith(port) and line.split()[3] == "0A"]
    assert bound == [f"0100007F{port}"]
    with world.worker() as again:
        again.until_ready()
        more = attack(events)[:3]
        world.play([Record(e.ts, e.client.encode(), encode_json(e)) for e in more])
        after = again.until_judged(sent + len(more))
    assert sum(after.values()) == sent + len(more)


def test_undo_beside_a_running_worker(
    broker: BrokerHandle, tmp_path: Path, baseline: Path, events: list[Event]
) -> None:
    """The address is off the blocklist; the client, out of quarantine, is looked at again; both stay in the ledger."""
    mine = attack(events)
    world = World(broker, tmp_path, baseline, 2)
    with world.worker() as worker:
        sent = world.play(records(mine[:400]))
        before = worker.until_judged(sent)
        assert before["diverted"]
        until(lambda: Status.APPLIED in ledger_says(world, ActionType.BLOCK_IP))
        ledger = Ledger(world.data / "vedette.db")
        actions = {kind: ledger.find(kind=kind, status=Status.APPLIED) for kind in ActionType}
        ledger.close()
        address = actions[ActionType.BLOCK_IP][0].decision.value
        assert address in (world.data / "blocklist.txt").read_text()
        for record in (*actions[ActionType.BLOCK_IP], *actions[ActionType.QUARANTINE]):
            undone = vedette("undo", record.decision.id, "-c", world.config)
            assert undone.returncode == 0, undone.stderr
        assert address not in (world.data / "blocklist.txt").read_text()
        assert set(ledger_says(world, ActionType.QUARANTINE)) == {Status.REVERTED}
        until(lambda: "client released" in (world.folder / "worker.log").read_text())
        sent += world.play(records(mine[400:410]))
        after = worker.until_judged(sent)
    assert after["diverted"] - before["diverted"] < 10
    assert sum(after.values()) == sent


def test_messages_go_out_once_and_a_dead_slack_holds_up_nothing(
    broker: BrokerHandle, tmp_path: Path, baseline: Path, events: list[Event]
) -> None:
    """Mail arrives and the address is blocked while Slack is down; once it is up each incident has one message."""
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    mails: list[object] = []
    with StandInThread(on_post=lambda _: None, on_mail=mails.append) as stand_ins:
        dead = free_port()
        world = World(broker, tmp_path / "w", baseline, 2, _channels(token, dead, stand_ins.smtp.port))
        with world.worker() as worker:
            worker.until_judged(world.play(records(attack(events))))
            until(lambda: Status.APPLIED in ledger_says(world, ActionType.BLOCK_IP))
            until(lambda: mails)
        incidents = _incidents(world)
        assert not stand_ins.slack.posts
        world.config.write_text(
            yaml.safe_dump(
                yaml.safe_load(world.config.read_text()) | _channels(token, stand_ins.slack.port, stand_ins.smtp.port)
            )
        )
        with world.worker():
            until(lambda: len(stand_ins.slack.messages()) >= incidents)
        with world.worker() as third:  # a restart sends nothing again
            third.until_ready()
        assert len(stand_ins.slack.messages()) == incidents > 0


def test_records_beyond_what_the_dead_letter_topic_takes(
    broker: BrokerHandle, tmp_path: Path, baseline: Path, events: list[Event]
) -> None:
    """A dead letter that is too large for its topic is in the spool with all its bytes, and the stream goes on."""
    world = World(broker, tmp_path, baseline, 1, {"stream": {"max_event_bytes": 300_000}})
    huge = b"{" + b"x" * 900_000
    mine = attack(events)[:20]
    sent = world.play([Record(mine[0].ts, b"huge", huge), *records(mine)])
    with world.worker() as worker:
        verdicts = worker.until_judged(sent)
    (letter,) = [json.loads(line) for line in (world.data / "dead-letters.jsonl").read_text().splitlines()]
    assert (base64.b64decode(letter["raw"]), letter["reason"]) == (huge, "too_large")
    assert (letter["topic"], letter["offset"]) == (world.settings.topics.events.name, 0)
    assert verdicts["dead_letter"] == 1
    assert sum(verdicts.values()) == len(mine) + 1


def test_what_keeps_a_worker_from_starting_is_said_in_a_line(
    broker: BrokerHandle, tmp_path: Path, baseline: Path
) -> None:
    """Exit code 2 and one clear line, without a traceback: a wrong setting, and a broker that is not there."""
    world = World(broker, tmp_path, baseline, 1)
    config = yaml.safe_load(world.config.read_text())
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        for wrong, named in (
            (config | {"stream": {"batch_events": -1}}, "stream.batch_events"),
            (config | {"kafka": {"brokers": [f"127.0.0.1:{closed.getsockname()[1]}"]}}, str(closed.getsockname()[1])),
        ):
            world.config.write_text(yaml.safe_dump(wrong))
            ran = vedette("run", "--no-wait", "-c", world.config)
            assert ran.returncode == 2, ran.stderr
            assert named in ran.stderr
            assert "Traceback" not in ran.stderr


def _channels(token: Path, slack_port: int, smtp_port: int) -> dict[str, object]:
    return {
        "notifications": {
            "group_wait_s": 0.1,
            "slack": {
                "channel": "C0SECURITY",
                "token_file": str(token),
                "base_url": f"http://127.0.0.1:{slack_port}/api/",
            },
            "email": {
                "host": "127.0.0.1",
                "port": smtp_port,
                "sender": "vedette@example.org",
                "recipients": ["soc@example.org"],
                "security": "none",
            },
        }
    }


def _incidents(world: World) -> int:
    store = Store(world.data / "vedette.db")
    try:
        return len(store.incidents())
    finally:
        store.close()
