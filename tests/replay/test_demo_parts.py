"""The parts of the demo that decide or delete: its verdict, its bad records, its folder, its registry, its tables."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from makers import finding
from rich.console import Console, RenderableType

from detectors.finding import Attack, Finding, Subject
from monitor.codec import Limits, decode_record
from monitor.errors import UserError
from monitor.event import Event
from monitor.settings import Response
from replay.demo.closing import attackers_table, honest_table, judge
from replay.demo.effects import addresses, effects_table
from replay.demo.hostile import BAD, with_bad_records
from replay.demo.run import run_demo
from replay.demo.workspace import MODELS, Workspace, shipped
from replay.evaluate import evaluate
from replay.labels import BENIGN, Labels, read_labels
from replay.recording import read_recording
from replay.schedule import Record
from responders import file_registry
from responders.actions.rollback import RollbackAction
from responders.decision import ActionType, Decision, Status
from responders.record import ActionRecord

LABELS = Labels(clients={"thief": "extraction:knockoff", "ann": BENIGN, "bob": BENIGN}, shift_onset={"edge": 50.0})


def found(client: str) -> Finding:
    return finding(client=client, attack=Attack.EXTRACTION)


def shift() -> Finding:
    seen = finding(ts=90.0, client="edge", attack=Attack.SHIFT)
    return msgspec.structs.replace(seen, model="edge", subject=Subject("model", "edge"), detector="shift")


def action(
    client: str, status: Status, kind: ActionType = ActionType.QUARANTINE, incident: str = "inc-1"
) -> ActionRecord:
    decision = Decision("act-1", kind, "client", client, "digits", incident, "policy", "why", 1.0, 60.0, False)
    return ActionRecord(decision=decision, status=status, recorded_at=1.0, updated_at=1.0)


def shown(what: RenderableType, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(what)
    out = console.file
    assert isinstance(out, io.StringIO)
    return out.getvalue()


def test_all_found_and_nobody_wronged_is_a_success() -> None:
    outcome = judge(evaluate([found("thief"), shift()], LABELS), LABELS, [action("thief", Status.APPLIED)])
    assert outcome.good
    assert outcome.flagged == outcome.missed == outcome.blocked == outcome.unseen_shifts == ()


def test_a_missed_attacker_is_a_failure() -> None:
    outcome = judge(evaluate([shift()], LABELS), LABELS, [])
    assert (outcome.good, outcome.missed) == (False, ("thief",))


def test_a_missed_shift_is_a_failure() -> None:
    outcome = judge(evaluate([found("thief")], LABELS), LABELS, [])
    assert (outcome.good, outcome.unseen_shifts) == (False, ("edge",))


def test_an_honest_client_that_was_only_flagged_is_told_and_no_failure() -> None:
    evaluation = evaluate([found("thief"), found("ann"), shift()], LABELS)
    outcome = judge(evaluation, LABELS, [action("ann", Status.REFUSED)])
    assert (outcome.good, outcome.flagged) == (True, ("ann",))
    assert "ann" in shown(honest_table(evaluation))


@pytest.mark.parametrize("status", [Status.APPLIED, Status.EXPIRED, Status.REVERTED])
def test_an_honest_client_acted_against_is_a_failure_even_if_it_was_taken_back(status: Status) -> None:
    outcome = judge(evaluate([found("thief"), shift()], LABELS), LABELS, [action("ann", status)])
    assert (outcome.good, outcome.blocked) == (False, ("ann",))


def test_the_table_names_who_was_found_and_what_was_done() -> None:
    labels = Labels(clients={"thief": "extraction:knockoff", "fox": "evasion:pgd"}, shift_onset={"edge": 50.0})
    actions = [
        action("thief", Status.REFUSED, ActionType.THROTTLE),
        action("thief", Status.APPLIED),
        action("thief", Status.APPLIED, ActionType.NOTIFY),
    ]
    out = shown(attackers_table(evaluate([found("thief"), shift()], labels), actions, {"inc-1": "client:thief"}))
    thief, fox, edge = (next(line for line in out.splitlines() if line.startswith(n)) for n in ("thief", "fox", "edge"))
    assert "held, throttle" in thief
    assert "not found" in fox
    assert "40 s" in edge


def test_the_table_shows_hostile_names_literally_and_fits() -> None:
    name = "[red]x[/]\x1b[2J" + "y" * 200
    labels = Labels(clients={name: "evasion:pgd"})
    out = shown(attackers_table(evaluate([], labels), [], {}))
    assert "\x1b" not in out
    assert "[red]x[/]" in out.replace("\n", "")
    assert max(map(len, out.splitlines())) <= 80


def test_the_real_table_is_not_cut_at_80_columns() -> None:
    labels = read_labels(shipped("demo.labels.json"))
    events = [e for e in read_recording(shipped("demo.jsonl.zst")) if isinstance(e, Event)]
    alarms = [msgspec.structs.replace(finding(client=c), ts=events[-1].ts) for c in labels.attackers()]
    done = [action(c, Status.APPLIED, kind, c) for c in labels.attackers() for kind in list(ActionType)[:3]]
    out = shown(attackers_table(evaluate(alarms, labels, events), done, {c: f"client:{c}" for c in labels.attackers()}))
    assert "…" not in out
    assert all(word in out for word in ("hopskipjump", "near_duplicate", "acct-31", "digits-edge"))


@given(st.integers(0, 60), st.integers(1, 9))
def test_bad_records_come_among_the_good_ones_which_keep_their_order(good: int, every: int) -> None:
    records = [Record(float(n), b"k", b"%d" % n) for n in range(good)]
    mixed = list(with_bad_records(records, every))
    assert [r for r in mixed if r.key == b"k"] == records
    assert len(mixed) - good == good // every
    assert [r.ts for r in mixed] == sorted(r.ts for r in mixed)


def test_every_bad_record_is_no_event() -> None:
    for raw in BAD:
        decoded = decode_record(raw, Limits(), now=None)
        assert not decoded.events, raw
        assert decoded.rejections, raw
    records = [Record(float(n), b"k", b"x") for n in range(len(BAD))]
    assert {r.value for r in with_bad_records(records, 1) if r.key != b"k"} == set(BAD)


def test_the_registry_serves_the_newer_version_and_can_roll_back(tmp_path: Path) -> None:
    space = Workspace(tmp_path)
    space.make_registry()
    for model in MODELS:
        assert (space.registry / model / "current").resolve().name == "2"
        decision = Decision("act-1", ActionType.ROLLBACK, "model", model, model, "inc", "p", "w", 1.0, None, False)
        assert RollbackAction(space.registry).apply(decision, 100.0).ok
        assert (space.registry / model / "current").resolve().name == "1"
        file_registry.set_current(space.registry, model, "2")


def test_the_configuration_is_valid_and_keeps_no_secret(tmp_path: Path) -> None:
    space = Workspace(tmp_path)
    space.baseline.touch()
    space.data.mkdir()
    space.make_registry()
    settings = space.write_config("127.0.0.1:9", "http://127.0.0.1:8/api/", 2525, 6067)
    assert settings.response.mode == "enforce"
    assert settings.web.port == yaml.safe_load(space.config.read_text())["web"]["port"] == 6067
    assert space.slack_token.read_text() not in space.config.read_text()


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "thesis.txt"
    precious.write_text("years of work")
    with pytest.raises(UserError, match="is not empty and no former demo made it"):
        run_demo(tmp_path, None, Console(file=io.StringIO()))
    assert precious.read_text() == "years of work"


def test_effects_are_read_from_the_files(tmp_path: Path) -> None:
    space = Workspace(tmp_path)
    space.make_registry()
    held = space.data / "quarantine" / "digits.client_thief"
    held.mkdir(parents=True)
    (held / "requests.jsonl").write_bytes(b"{}\n{}\n{}\n")
    (space.data / "incidents").mkdir()
    (space.data / "incidents" / "inc-1.md").touch()
    blocklist = space.data / "blocklist.txt"
    assert addresses(blocklist) == []
    blocklist.write_text("# of the house\n\n203.0.113.9  # until=x vedette=y\n2001:db8::1\n")
    out = " ".join(shown(effects_table(space, Response(), "10 sent", 4, 3), width=200).split())
    for phrase in (
        "records 10 sent",
        "blocked 203.0.113.9, 2001:db8::1",
        "held 3 requests",
        "digits version 2, digits-edge version 2",
        "4 Slack posts and updates, 3 e-mails",
        "incidents 1 reports",
        f"vedette incidents list -c {space.config}",
    ):
        assert phrase in out
