"""The commands about recordings, as a shell starts them: calibrate, replay, evaluate, simulate, record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from command_line import vedette

from monitor.event import Event
from replay.alerts import read_alerts
from replay.demo.workspace import shipped
from replay.labels import Labels, encode_labels
from replay.recording import RecordingWriter, read_recording

#: Of the demo: two minutes, in which acct-31 attacks.
SLICE_S = 120.0
HOSTILE = "[red]x[/]\u202e"  # as hostile as the codec lets a name be


@dataclass
class Replayed:
    recording: Path
    alerts: Path
    labels: Path
    out: str


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory, baseline: Path, events: list[Event]) -> Replayed:
    """The slice, with the attacker under a hostile name, and what ``vedette replay`` makes of it."""
    folder = tmp_path_factory.mktemp("commands")
    recording, alerts, labels = folder / "slice.jsonl.zst", folder / "alerts.jsonl", folder / "slice.labels.json"
    start = min(e.ts for e in events)
    part = [_renamed(e) for e in events if e.ts < start + SLICE_S]
    _write(recording, part)
    honest = {e.client_id or e.client_ip: "benign" for e in part}
    attackers = {HOSTILE: "evasion:hopskipjump", "acct-34": "evasion:pgd"}
    labels.write_bytes(encode_labels(Labels(clients=honest | attackers)))
    ran = vedette("replay", recording, "--in-process", "--baseline", baseline, "--alerts", alerts, columns=200)
    assert ran.code == 0, ran.err
    return Replayed(recording, alerts, labels, ran.out)


def _renamed(event: Event) -> Event:
    return msgspec.structs.replace(event, client_id=HOSTILE) if event.client_id == "acct-31" else event


def _write(path: Path, events: list[Event]) -> None:
    with RecordingWriter(path) as writer:
        for event in events:
            writer.write(event)


def test_a_replay_finds_the_attacker_and_shows_its_name_literally(replayed: Replayed) -> None:
    assert {f.subject.value for f in read_alerts(replayed.alerts)} == {HOSTILE, "acct-34"}
    assert "[red]x[/]\\u202e" in replayed.out
    assert "\u202e" not in replayed.out
    assert "none carried out" in replayed.out


def test_a_second_replay_gives_the_same_bytes_over_what_was_there(replayed: Replayed, baseline: Path) -> None:
    before = replayed.alerts.read_bytes()
    again = replayed.alerts.with_name("again.jsonl")
    again.write_bytes(b'{"id":"of another run"}\n')
    ran = vedette("replay", replayed.recording, "--baseline", baseline, "--alerts", again)
    assert ran.code == 0
    assert again.read_bytes() == before != b""


def test_a_replay_without_findings_writes_an_empty_file(tmp_path: Path, baseline: Path, events: list[Event]) -> None:
    _write(tmp_path / "few.jsonl", events[:20])
    alerts = tmp_path / "new folder" / "alerts.jsonl"
    ran = vedette("replay", tmp_path / "few.jsonl", "--baseline", baseline, "--alerts", alerts)
    assert ran.code == 0
    assert "no findings" in ran.out
    assert alerts.read_bytes() == b""


def test_an_evaluation_as_table_json_and_page(replayed: Replayed, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    truth = ("--labels", replayed.labels, "--recording", replayed.recording)
    table = vedette("evaluate", replayed.alerts, *truth, "--html", page, columns=160)
    assert table.code == 0
    assert "2 of 2" in table.out
    assert "[red]x[/]" in table.out
    assert "\u202e" not in table.out
    assert str(page) in table.out
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    figures = json.loads(vedette("evaluate", replayed.alerts, *truth, "--json").out)
    assert (figures["detection"]["hits"], figures["honest_flagged"]["hits"]) == (2, 0)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--in-process", "--broker", "localhost:9092"], "exclude each other"),
        (["--broker", "localhost:9092", "--speed", "fast"], "--speed 'fast'"),
        (["--broker", "localhost:9092", "--speed", "-2x"], "--speed '-2x'"),
        (["--broker", "localhost:9092", "--speed", "nan"], "--speed 'nan'"),
        (["--broker", "localhost"], "'localhost' is not HOST:PORT"),
        ([], "vedette calibrate"),
        (["--baseline", "absent.vdb"], "absent.vdb"),
    ],
    ids=lambda value: " ".join(value) or "nothing" if isinstance(value, list) else "",
)
def test_what_replay_refuses(arguments: list[str], told: str) -> None:
    ran = vedette("replay", shipped("demo.jsonl.zst"), *arguments)
    assert ran.code == 2
    assert ran.err.startswith("error: ")
    assert told in ran.words


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("absent.jsonl", None, "cannot be read"),
        ("traffic.csv", b"a,b\n", "must end in one of"),
        ("cut.jsonl.zst", b"\x28\xb5\x2f\xfd\x04", "damaged"),
        ("damaged.jsonl.gz", b"no gzip", "damaged"),
    ],
)
def test_a_recording_that_cannot_be_read(
    tmp_path: Path, baseline: Path, name: str, content: bytes | None, told: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    for command in (["replay", "--baseline", baseline], ["calibrate", "-o", tmp_path / "out.vdb"]):
        ran = vedette(command[0], tmp_path / name, *command[1:])
        assert ran.code == 2
        assert ran.err.startswith("error: ")
        assert name in ran.words
        assert told in ran.words


def test_evaluation_files_that_cannot_be_used(replayed: Replayed, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_bytes(b'{"clients": {"a": "[red]nonsense[/]"}}')
    for alerts, labels, told in (
        (replayed.alerts, bad, "[red]nonsense[/]"),
        (bad, replayed.labels, "line 1"),
        (tmp_path / "absent.jsonl", replayed.labels, "absent.jsonl"),
        (replayed.alerts, tmp_path / "absent.json", "absent.json"),
    ):
        ran = vedette("evaluate", alerts, "--labels", labels)
        assert ran.code == 2
        assert ran.err.startswith("error: ")
        assert told in ran.words


def test_an_output_that_cannot_be_written(replayed: Replayed) -> None:
    nowhere = replayed.alerts / "report.html"
    ran = vedette("evaluate", replayed.alerts, "--labels", replayed.labels, "--html", nowhere)
    assert ran.code == 2
    assert "report.html: Not a directory" in ran.words


def test_too_little_clean_traffic_is_refused_with_the_numbers_needed(tmp_path: Path, events: list[Event]) -> None:
    recording = tmp_path / "few.jsonl"
    _write(recording, [e for e in events if e.model == "digits"][:50])
    ran = vedette("calibrate", recording, "-o", tmp_path / "baseline.vdb")
    assert ran.code == 2
    assert all(figure in ran.words for figure in ("50", "300", "20"))
    assert not (tmp_path / "baseline.vdb").exists()


def test_lines_that_are_no_events_are_counted_by_calibrate(tmp_path: Path) -> None:
    recording = tmp_path / "none.jsonl"
    recording.write_bytes(b"nonsense\n{}\n")
    ran = vedette("calibrate", recording, "-o", tmp_path / "baseline.vdb")
    assert ran.code == 2
    assert "2 lines are no events" in ran.words


def test_simulate_writes_a_recording_and_its_labels(tmp_path: Path) -> None:
    output = tmp_path / "a folder with [red]markup[/] in its name, long enough to be wrapped" / "small.jsonl.zst"
    output.parent.mkdir(parents=True)
    ran = vedette("simulate", "demo-small", "-o", output)
    assert ran.code == 0, ran.err
    made = list(read_recording(output))
    assert f"{len(made)} events: {output}\n" in ran.out
    assert f"labels: {output.with_name('small.labels.json')}\n" in ran.out
    assert {e.client_id for e in made if isinstance(e, Event)} >= {"acct-31", "acct-33", "acct-34"}


def test_an_unknown_scenario(tmp_path: Path) -> None:
    ran = vedette("simulate", "[red]mine[/]", "-o", tmp_path / "x.jsonl")
    assert ran.code == 2
    assert "[red]mine[/]" in ran.err
    assert "demo-small" in ran.words


def test_record_from_an_address_that_is_none(tmp_path: Path) -> None:
    config = tmp_path / "vedette.yaml"
    config.write_text("kafka: {brokers: ['nowhere']}\n")
    ran = vedette("record", tmp_path / "out.jsonl", "-c", config)
    assert ran.code == 2
    assert "nowhere" in ran.words
    assert not (tmp_path / "out.jsonl").exists()
