"""The command line: what it teaches, what it refuses, and what an operator does with a worker's database."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import msgspec
import pytest
import yaml
from command_line import vedette
from makers import finding

from monitor.config import load
from monitor.incidents import Incident, Incidents
from monitor.response import build_executor
from monitor.store import Store
from responders.decision import ActionType, Decision, Status
from responders.ledger import Ledger

COMMANDS = (
    [],
    ["run"],
    ["check"],
    ["check-config"],
    ["dead-letters"],
    ["dead-letters", "list"],
    ["dead-letters", "show"],
    ["dead-letters", "replay"],
    ["demo"],
    ["calibrate"],
    ["replay"],
    ["record"],
    ["simulate"],
    ["evaluate"],
    ["undo"],
    ["incidents"],
    ["incidents", "list"],
    ["incidents", "show"],
    ["incidents", "mark"],
    ["actions"],
    ["actions", "list"],
)
#: Markup of rich, an escape sequence, and an override that turns the text after it round.
HOSTILE = "[red]x[/]\x1b[2J\u202e<b>"
ADDRESS = "203.0.113.9"


@dataclasses.dataclass
class Desk:
    """A data directory in which a worker has found one attacker, blocked its address and quarantined it."""

    folder: Path
    config: Path
    incident: Incident

    @property
    def blocklist(self) -> Path:
        return self.folder / "data" / "blocklist.txt"

    def ids(self) -> dict[str, str]:
        """Action ids by type."""
        ledger = Ledger(self.folder / "data" / "vedette.db")
        try:
            return {r.decision.type.value: r.decision.id for r in ledger.find()}
        finally:
            ledger.close()

    def status(self, action_id: str) -> Status:
        ledger = Ledger(self.folder / "data" / "vedette.db")
        try:
            record = ledger.get(action_id)
            assert record is not None
            return record.status
        finally:
            ledger.close()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    config = tmp_path / "vedette.yaml"
    config.write_text(yaml.safe_dump({"data_dir": str(tmp_path / "data"), "response": {"mode": "enforce"}}))
    settings = load(config)
    store = Store(tmp_path / "data" / "vedette.db")
    ledger = Ledger(tmp_path / "data" / "vedette.db")
    found = finding(client=HOSTILE)
    incident, _ = Incidents(1800.0).merge(found, ADDRESS)
    store.note([found], [incident], 1.0)
    blank = Decision(
        "", ActionType.BLOCK_IP, "ip", ADDRESS, "digits", incident.id, "policy", "why", 100.0, 900.0, False
    )
    held = {"type": ActionType.QUARANTINE, "scope": "client", "value": HOSTILE}
    now = time.time()
    ledger.record([msgspec.structs.replace(blank, id="act-1"), msgspec.structs.replace(blank, id="act-2", **held)], now)
    build_executor(settings, tmp_path / "data", ledger, store).step(now)
    store.close()
    ledger.close()
    return Desk(tmp_path, config, incident)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: " ".join(c) or "vedette")
def test_help_teaches(command: list[str]) -> None:
    ran = vedette(*command, "--help", columns=200)
    assert ran.code == 0
    assert f"Usage: vedette {' '.join(command)}".strip() in ran.words
    said = ran.words.partition("Usage:")[2]
    assert len(said) > 150, said


def test_the_help_lists_every_command() -> None:
    out = vedette("--help").out
    assert [c[0] for c in COMMANDS if c and f" {c[0]} " not in out] == []


def test_version() -> None:
    assert vedette("--version").out.startswith("vedette 0.")


def test_an_unknown_command_is_a_usage_error() -> None:
    ran = vedette("calibrat")
    assert ran.code == 2
    assert "calibrat" in ran.words


def test_a_good_configuration(tmp_path: Path, baseline: Path) -> None:
    config = tmp_path / "vedette.yaml"
    config.write_text(yaml.safe_dump({"detection": {"baseline": str(baseline)}, "web": {"port": 7001}}))
    ran = vedette("check-config", config, "--show")
    assert ran.code == 0
    assert "is valid" in ran.words
    assert "mode: dry-run" in ran.words
    assert "2 models (digits, digits-edge)" in ran.words
    assert "port: 7001" in ran.out


def test_every_error_of_a_configuration_is_shown_at_once(tmp_path: Path) -> None:
    config = tmp_path / "vedette.yaml"
    config.write_text("web: {port: none}\nkafka: {brokerz: []}\nresponse: {mode: '[red]nuke[/]'}\n")
    ran = vedette("check-config", config)
    assert ran.code == 2
    assert ran.out == ""
    assert all(path in ran.err for path in ("web.port", "kafka.brokerz", "response.mode"))
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("content", [b"no baseline", b""], ids=["other file", "empty file"])
def test_a_baseline_that_is_none(tmp_path: Path, content: bytes) -> None:
    bad = tmp_path / "baseline.vdb"
    bad.write_bytes(content)
    config = tmp_path / "vedette.yaml"
    config.write_text(yaml.safe_dump({"detection": {"baseline": str(bad)}}))
    for command in (("check-config", config), ("run", "-c", config)):
        ran = vedette(*command)
        assert ran.code == 2
        assert str(bad) in ran.err.replace("\n", "")
        assert "not a Vedette baseline" in ran.words


def test_a_baseline_made_for_other_windows_is_refused(tmp_path: Path, baseline: Path) -> None:
    config = tmp_path / "vedette.yaml"
    config.write_text(yaml.safe_dump({"detection": {"baseline": str(baseline)}, "windows": {"size_s": 7}}))
    ran = vedette("check-config", config)
    assert ran.code == 2
    assert "windows.size_s is 7" in ran.words


def test_run_without_a_baseline_says_how_to_make_one(tmp_path: Path) -> None:
    config = tmp_path / "vedette.yaml"
    config.write_text("{}")
    ran = vedette("run", "-c", config)
    assert ran.code == 2
    assert "vedette calibrate" in ran.words


def test_run_without_a_broker_says_which_address_does_not_answer(tmp_path: Path, baseline: Path) -> None:
    config = tmp_path / "vedette.yaml"
    settings = {"kafka": {"brokers": ["nonsense"]}, "detection": {"baseline": str(baseline)}}
    config.write_text(yaml.safe_dump(settings))
    ran = vedette("run", "-c", config)
    assert ran.code == 2
    assert "'nonsense' is not HOST:PORT" in ran.words or "kafka.brokers" in ran.words


def test_incidents_are_listed_with_hostile_names_shown_literally(desk: Desk) -> None:
    ran = vedette("incidents", "list", "-c", desk.config, columns=200)
    assert ran.code == 0
    assert desk.incident.id in ran.out
    assert "contained" in ran.out
    assert "[red]x[/]\\u001b[2J\\u202e<b>" in ran.out
    assert "\x1b" not in ran.out


@pytest.mark.parametrize("command", [("incidents", "list"), ("actions", "list")], ids=" ".join)
def test_ids_are_whole_at_80_columns(desk: Desk, command: tuple[str, ...]) -> None:
    out = vedette(*command, "-c", desk.config, columns=80).out
    assert desk.incident.id in out
    if command[0] == "actions":
        assert all(action_id in out for action_id in desk.ids().values())
    assert max(map(len, out.splitlines())) <= 80


def test_an_incident_is_shown_whole(desk: Desk) -> None:
    ran = vedette("incidents", "show", desk.incident.id, "-c", desk.config, columns=120)
    assert ran.code == 0
    assert all(word in ran.words for word in ("Timeline", "near_duplicate", "e1", ADDRESS, "block_ip", "vedette undo"))
    assert "\x1b" not in ran.out
    assert "\u202e" not in ran.out


def test_json_of_incidents(desk: Desk) -> None:
    listed = [json.loads(line) for line in vedette("incidents", "list", "--json", "-c", desk.config).out.splitlines()]
    shown = json.loads(vedette("incidents", "show", desk.incident.id, "--json", "-c", desk.config).out)
    assert listed == [shown]
    assert shown["format"] == "vedette-incident/1"
    assert shown["status"] == "contained"
    assert shown["incident"]["subject"] == {"scope": "client", "value": HOSTILE}
    assert {a["status"] for a in shown["actions"]} == {"applied"}


def test_actions_are_listed(desk: Desk) -> None:
    ran = vedette("actions", "list", "-c", desk.config, columns=200)
    assert ran.code == 0
    assert all(word in ran.out for word in ("block_ip", f"ip {ADDRESS}", "quarantine", "applied", "done"))
    assert "\x1b" not in ran.out


def test_json_of_actions_and_only_those_in_force(desk: Desk) -> None:
    def listed(*options: str) -> dict[str, str]:
        lines = vedette("actions", "list", "--json", *options, "-c", desk.config).out.splitlines()
        return {record["decision"]["type"]: record["status"] for record in map(json.loads, lines)}

    assert listed() == listed("--active") == {"block_ip": "applied", "quarantine": "applied"}
    vedette("undo", desk.ids()["block_ip"], "-c", desk.config)
    assert listed() == {"block_ip": "reverted", "quarantine": "applied"}
    assert listed("--active") == {"quarantine": "applied"}


def test_undo_takes_the_address_out_of_the_blocklist(desk: Desk) -> None:
    block = desk.ids()["block_ip"]
    assert ADDRESS in desk.blocklist.read_text()
    ran = vedette("undo", block, "-c", desk.config)
    assert ran.code == 0
    assert "taken back" in ran.words
    assert ADDRESS not in desk.blocklist.read_text()
    assert desk.status(block) is Status.REVERTED
    assert vedette("undo", block, "-c", desk.config).code == 0, "undoing twice is undoing once"


def test_an_undo_that_finds_the_effect_changed_says_so(desk: Desk) -> None:
    desk.blocklist.unlink()
    desk.blocklist.mkdir()
    ran = vedette("undo", desk.ids()["block_ip"], "-c", desk.config)
    assert ran.code == 1
    assert "not taken back" in ran.words


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (("undo", "[red]act-9[/]"), "vedette actions list"),
        (("incidents", "show", "[red]inc-9[/]"), "vedette incidents list"),
        (("incidents", "mark", "[red]inc-9[/]", "resolved"), "vedette incidents list"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_unknown_id(desk: Desk, command: tuple[str, ...], hint: str) -> None:
    ran = vedette(*command, "-c", desk.config)
    assert ran.code == 2
    assert "[red]" in ran.err
    assert hint in ran.words


def test_a_false_positive_takes_its_actions_back(desk: Desk) -> None:
    ran = vedette("incidents", "mark", desk.incident.id, "false_positive", "-c", desk.config)
    assert ran.code == 0
    assert {desk.status(i) for i in desk.ids().values()} == {Status.REVERTED}
    assert ADDRESS not in desk.blocklist.read_text()
    shown = json.loads(vedette("incidents", "show", desk.incident.id, "--json", "-c", desk.config).out)
    assert shown["status"] == "false_positive"


def test_a_mark_can_be_taken_back(desk: Desk) -> None:
    def status() -> str:
        return str(json.loads(vedette("incidents", "list", "--json", "-c", desk.config).out)["status"])

    assert vedette("incidents", "mark", desk.incident.id, "resolved", "-c", desk.config).code == 0
    assert status() == "resolved"
    assert vedette("incidents", "mark", desk.incident.id, "open", "-c", desk.config).code == 0
    assert status() == "contained"


def test_an_unknown_mark(desk: Desk) -> None:
    ran = vedette("incidents", "mark", desk.incident.id, "wontfix", "-c", desk.config)
    assert ran.code == 2
    assert "resolved, false_positive, open" in ran.words


@pytest.mark.parametrize("command", [("incidents", "list"), ("actions", "list"), ("undo", "act-1")], ids=" ".join)
def test_before_any_worker_has_run(tmp_path: Path, command: tuple[str, ...]) -> None:
    config = tmp_path / "vedette.yaml"
    config.write_text(yaml.safe_dump({"data_dir": str(tmp_path / "data")}))
    ran = vedette(*command, "-c", config)
    assert ran.code == 2
    assert "no worker has run" in ran.words
    assert not (tmp_path / "data").exists(), "looking must not create anything"


@pytest.mark.parametrize("command", [("incidents", "list"), ("actions", "list")], ids=" ".join)
def test_an_empty_database(tmp_path: Path, command: tuple[str, ...]) -> None:
    config = tmp_path / "vedette.yaml"
    config.write_text(yaml.safe_dump({"data_dir": str(tmp_path)}))
    Store(tmp_path / "vedette.db").close()
    assert vedette(*command, "-c", config).out.strip() == f"no {command[0]}"


def test_a_database_that_is_none(tmp_path: Path) -> None:
    config = tmp_path / "vedette.yaml"
    config.write_text(yaml.safe_dump({"data_dir": str(tmp_path)}))
    (tmp_path / "vedette.db").write_bytes(b"not a database, but long enough to be taken for one" * 20)
    ran = vedette("incidents", "list", "-c", config)
    assert ran.code == 2
    assert "cannot open" in ran.words
