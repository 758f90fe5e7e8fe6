"""Runs the demo: broker, worker, stand-ins and traffic on this machine; then the reckoning."""

from __future__ import annotations

import queue
import shutil
import threading
import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from detectors.calibration import calibrate
from monitor.codec.limits import Limits
from monitor.errors import UserError
from monitor.event import Event
from monitor.kafka_admin import ensure_topics
from monitor.settings import Settings
from monitor.views import when
from replay.clean_traffic import clean_batches
from replay.demo.closing import attackers_table, honest_table, judge
from replay.demo.effects import effects_table, shown
from replay.demo.hostile import with_bad_records
from replay.demo.stand_in_thread import StandInThread
from replay.demo.watch import Watch
from replay.demo.worker import WorkerProcess
from replay.demo.workspace import Workspace, shipped
from replay.embedded_broker import EmbeddedBroker, free_port
from replay.evaluate import evaluate
from replay.labels import read_labels
from replay.player import play_to_kafka
from replay.recording import read_recording
from replay.records import kafka_records
from replay.report_html import render_html
from replay.sender import Played
from replay.stand_ins.slack import Post
from replay.stand_ins.smtp import Mail

_LOOK_S = 0.2
#: After the last verdict, actions and messages may take this long.
_SETTLE_S = 20.0


def run_demo(folder: Path, speed: float | None, console: Console) -> bool:
    """The whole demo in ``folder`` (emptied first); True if all attackers were found, no honest client acted against.

    Raises UserError for what the user can mend: a folder that is not the demo's, a missing extra.
    """
    space = _fresh(folder)
    recording, labels = shipped("demo.jsonl.zst"), read_labels(shipped("demo.labels.json"))
    _calibrate(space, console)
    space.make_registry()
    arrivals: queue.SimpleQueue[Post | Mail] = queue.SimpleQueue()
    with EmbeddedBroker() as broker, StandInThread(arrivals.put, arrivals.put) as stand_ins:
        web_port = free_port()
        settings = space.write_config(broker.bootstrap, stand_ins.slack.base_url, stand_ins.smtp.port, web_port)
        topics = settings.topics
        ensure_topics(settings.kafka, [topics.events, topics.dead_letters, topics.findings])
        _say(console, "broker", f"{broker.bootstrap} (embedded, Kafka protocol), topic {topics.events.name}")
        with WorkerProcess(space.config, web_port, space.worker_log) as worker:
            worker.until_ready()
            _say(console, "worker", f"vedette run -c {shown(space.config)} (mode enforce)")
            _say(console, "status", f"http://127.0.0.1:{web_port}/readyz and /metrics, while it runs")
            _say(console, "traffic", f"{_pace(speed)}; times below are the recording's\n")
            watch = Watch(console, settings)
            played = _play(settings, recording, speed, watch, arrivals, console)
            verdicts = worker.until_judged(played.total)
            _settle(watch, arrivals)
        watch.look(arrivals)
    events = [item for item in read_recording(recording) if isinstance(item, Event)]
    evaluation = evaluate(watch.store.findings(), labels, events)
    actions = watch.ledger.find(limit=10_000)
    incidents = {incident.id: incident.subject.key for incident, _ in watch.store.incidents()}
    watch.close()
    space.report.write_text(render_html(evaluation, "Vedette demo"), encoding="utf-8")
    console.print()
    console.print(attackers_table(evaluation, actions, incidents))
    console.print(honest_table(evaluation))
    total = sum(verdicts.values())
    counted = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in sorted(verdicts.items()))
    console.print()
    records = f"{played.total} sent, {total} accounted for: {counted}"
    console.print(effects_table(space, settings.response, records, len(watch.posts), len(watch.mails)))
    outcome = judge(evaluation, labels, actions)
    console.print()
    if total != played.total:
        console.print("[bold red]failed[/]: records and verdicts do not add up")
        return False
    if outcome.good:
        console.print("[bold green]success[/]: every attacker found, no honest client acted against")
        return True
    missed = ", ".join(outcome.missed + outcome.unseen_shifts) or "nobody"
    blocked = ", ".join(outcome.blocked) or "nobody"
    console.print(f"[bold red]failed[/]: missed {escape(missed)}; acted against {escape(blocked)}")
    return False


def _fresh(folder: Path) -> Workspace:
    """An empty workspace. Raises UserError rather than delete a folder that the demo did not make."""
    marker = folder / ".vedette-demo"
    if folder.exists() and any(folder.iterdir()):
        if not marker.exists():
            raise UserError(f"{folder} is not empty and no former demo made it; choose another with --folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    marker.touch()
    space = Workspace(folder.resolve())
    space.data.mkdir()
    return space


def _calibrate(space: Workspace, console: Console) -> None:
    """The baseline, from the shipped clean traffic; takes some twenty seconds, so that it shows that it lives."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        progress.add_task("calibrating on the shipped clean traffic (some 20 s)", total=None)
        traffic = clean_batches([shipped("clean.jsonl.zst")])
        baseline, _ = calibrate(traffic.batches)
        baseline.save(space.baseline)
    _say(
        console, "baseline", f"{shown(space.baseline)}, from {traffic.events} clean events of {traffic.clients} clients"
    )


def _say(console: Console, label: str, text: str) -> None:
    console.print(f"[bold]{label:9}[/]{escape(text)}", highlight=False, soft_wrap=True)


def _pace(speed: float | None) -> str:
    return "ten recorded minutes, " + ("as fast as Kafka takes it" if speed is None else f"{speed:g} times as fast")


def _play(
    settings: Settings,
    recording: Path,
    speed: float | None,
    watch: Watch,
    arrivals: queue.SimpleQueue[Post | Mail],
    console: Console,
) -> Played:
    """Send the recording from a thread; show progress and news meanwhile."""
    limits = Limits(max_bytes=settings.stream.max_event_bytes)
    records = list(with_bad_records(kafka_records(recording, limits)))
    windows = settings.windows
    state: dict[str, Played | BaseException] = {}

    def send() -> None:
        try:
            state["played"] = play_to_kafka(
                records,
                settings.kafka,
                settings.topics.events.name,
                close_after_s=windows.size_s + windows.grace_s + 1.0,
                speed=speed,
                progress=lambda played: state.update(now=played),
            )
        except BaseException as error:
            state["error"] = error

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("traffic", total=len(records))
        sender = threading.Thread(target=send, name="player", daemon=True)
        sender.start()
        while sender.is_alive():
            sender.join(_LOOK_S)
            now = state.get("now")
            if isinstance(now, Played):
                clock = when(now.last_ts)[11:] if now.last_ts else ""
                progress.update(task, completed=now.total, description=f"traffic {clock}")
            watch.look(arrivals)
    if isinstance(error := state.get("error"), BaseException):
        raise error
    played = state["played"]
    assert isinstance(played, Played)
    return played


def _settle(watch: Watch, arrivals: queue.SimpleQueue[Post | Mail]) -> None:
    """Wait for actions and messages that are under way."""
    end = time.monotonic() + _SETTLE_S
    while time.monotonic() < end:
        watch.look(arrivals)
        if watch.quiet(time.time()):
            return
        time.sleep(_LOOK_S)
