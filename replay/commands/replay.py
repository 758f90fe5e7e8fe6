"""``vedette replay``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from detectors.finding import Finding
from monitor.alerts import AlertsFile
from monitor.cli.options import ConfigOption
from monitor.codec.limits import Limits
from monitor.config import load
from monitor.core import load_core
from monitor.errors import UserError
from monitor.kafka_admin import ensure_topics
from monitor.settings import Settings
from monitor.views import when
from replay.findings_topic import FindingsTopic
from replay.in_process import Outcome, replay_in_process
from replay.player import play_to_kafka
from replay.recording import read_raw, read_recording
from replay.records import kafka_records
from responders.text import visible


def replay(
    recording: Annotated[Path, typer.Argument(help="Recording (.jsonl, .jsonl.gz, .jsonl.zst, .vdt, .vdt.zst).")],
    in_process: Annotated[bool, typer.Option("--in-process", help="Judge it here, without broker (default).")] = False,
    broker: Annotated[str, typer.Option(help="Send it to this Kafka broker (HOST:PORT) for a worker to judge.")] = "",
    speed: Annotated[str, typer.Option(help="Times faster than recorded, or max; with --broker.")] = "max",
    baseline: Annotated[Path | None, typer.Option(help="Baseline file; overrides the configuration.")] = None,
    alerts: Annotated[Path | None, typer.Option(help="Write findings to this file, one JSON object a line.")] = None,
    quiet_s: Annotated[
        float, typer.Option(min=1.0, help="With --broker and --alerts: stop when no finding has come for so long.")
    ] = 15.0,
    config: ConfigOption = None,
) -> None:
    """Replay recorded traffic: in this process, or into Kafka at the speed it was recorded or faster.

    In this process nothing is carried out: decisions are only counted. With --broker a worker judges the traffic, and
    --alerts collects what it publishes. The findings are the same either way.
    """
    if in_process and broker:
        raise UserError("--in-process and --broker exclude each other")
    settings = load(config)
    if broker:
        kafka = msgspec.structs.replace(settings.kafka, brokers=(broker,))
        settings = msgspec.structs.replace(settings, kafka=kafka)
        if alerts is None:
            _send(recording, settings, _speed(speed))
            return
        with FindingsTopic(kafka, settings.topics.findings.name) as topic:
            _send(recording, settings, _speed(speed))
            with Console(stderr=True).status(f"waiting for findings (until none has come for {quiet_s:g} s)"):
                findings = topic.until_quiet(quiet_s)
        _write(alerts, findings)
        typer.echo(f"{len(findings)} findings: {alerts}")
        return
    if baseline is not None:
        detection = msgspec.structs.replace(settings.detection, baseline=str(baseline))
        settings = msgspec.structs.replace(settings, detection=detection)
    outcome = _judge(recording, settings)
    if alerts is not None:
        _write(alerts, sorted(outcome.findings, key=lambda f: (f.ts, f.id)))
    _print(outcome)


def _write(alerts: Path, findings: list[Finding]) -> None:
    alerts.parent.mkdir(parents=True, exist_ok=True)
    alerts.write_bytes(b"")  # no findings: an empty file, not none
    AlertsFile(alerts).append(findings)


def _judge(recording: Path, settings: Settings) -> Outcome:
    core = load_core(settings)
    limits = Limits(max_bytes=settings.stream.max_event_bytes)
    total = sum(1 for _ in read_raw(recording, limits.max_bytes))
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("replaying", total=total)
        return replay_in_process(
            read_recording(recording, limits), core, progress=lambda n, _ts: progress.update(task, completed=n)
        )


def _send(recording: Path, settings: Settings, speed: float | None) -> None:
    ensure_topics(settings.kafka, [settings.topics.events], create=settings.topics.create)
    limits = Limits(max_bytes=settings.stream.max_event_bytes)
    total = sum(1 for _ in read_raw(recording, limits.max_bytes))
    windows = settings.windows
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("sending", total=total)
        played = play_to_kafka(
            kafka_records(recording, limits),
            settings.kafka,
            settings.topics.events.name,
            close_after_s=windows.size_s + windows.grace_s + 1.0,
            speed=speed,
            progress=lambda so_far: progress.update(task, completed=so_far.total),
        )
    typer.echo(f"{played.total} records sent to {settings.topics.events.name}")


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise UserError(f"--speed {text!r}: give a positive number, or max")
    return speed


def _print(outcome: Outcome) -> None:
    console = Console()
    table = Table("Time (UTC)", "Severity", "Attack", "Subject", "Model", "Detector", "Evidence / line")
    for f in sorted(outcome.findings, key=lambda f: (f.ts, f.id)):
        table.add_row(
            when(f.ts),
            f.severity.value,
            f.attack.value,
            Text(visible(f.subject.key, 60)),
            Text(visible(f.model, 40)),
            f.detector,
            f"{f.score:.3g} / {f.threshold:.3g}",
        )
    console.print(table if outcome.findings else "no findings")
    verdicts = ", ".join(f"{n} {name}" for name, n in sorted(outcome.verdicts.items()))
    console.print(f"{sum(outcome.verdicts.values())} events: {verdicts}")
    console.print(f"{len(outcome.incidents)} incidents, {len(outcome.decisions)} decisions (none carried out)")
