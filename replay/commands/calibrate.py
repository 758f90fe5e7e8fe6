"""``vedette calibrate``."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from detectors import calibration
from detectors.baseline import Source
from monitor.cli.options import ConfigOption
from monitor.config import load
from monitor.core import window_detector_types
from monitor.errors import UserError
from monitor.secret import read_secret
from monitor.settings import Detection
from replay.clean_traffic import clean_batches
from replay.sketch_options import training_sketches, usable
from responders.text import visible


def calibrate(
    clean: Annotated[list[Path], typer.Argument(help="Recordings of clean traffic (.jsonl, .gz, .zst, .vdt).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Baseline file to write.")],
    config: ConfigOption = None,
    training_sketch: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[MODEL=]FILE",
            help="Sketch of a model's training set (see `vedette sketch`), to look for membership inference with; "
            "once a model. MODEL= may be left out if the traffic is of one model. The baseline then holds the sketch, "
            "and only its owner may read it.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Learn what clean traffic looks like: reference statistics and thresholds, per model, into one file.

    Needs at least 300 events of 20 clients a model; prints which false-alarm budget this much traffic can support.
    The traffic must be clean: what is in it will not be found later.
    """
    settings = load(config, baseline_needed=False)
    console = Console()
    with console.status("reading"):
        traffic = clean_batches(clean)
    if traffic.bad:
        console.print(f"[yellow]{traffic.bad} lines are no events and were left out[/]")
    sketches, notes = usable(training_sketches(training_sketch or [], traffic.batches), traffic.batches)
    for line in notes:
        console.print(Text(visible(line, 1000)))
    with console.status(f"calibrating on {traffic.events} events of {traffic.clients} clients"):
        try:
            baseline, report = calibration.calibrate(
                traffic.batches,
                clients_per_day=settings.detection.false_alarms.clients_per_day,
                window_s=settings.windows.size_s,
                sample_rows=settings.windows.sample_rows,
                window_detectors=lambda model: window_detector_types(settings.detection, model),
                training_sketches={model: one.sketch for model, one in sketches.items()},
                sources=[
                    Source(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
                    for path in (*clean, *(one.path for one in sketches.values()))
                ],
                made_by=f"vedette {version('vedette')}",
                salt=_salt(settings.detection),
            )
        except ValueError as error:
            raise UserError(str(error)) from error
    baseline.save(output, 0o600 if sketches else 0o644)
    for line in report.lines():
        console.print(Text("  " * line.startswith(" ") + visible(line, 1000)))
    typer.echo(f"written: {output}")


def _salt(detection: Detection) -> bytes:
    """Empty if the configuration names none."""
    if not detection.salt_env and not detection.salt_file:
        return b""
    return read_secret(detection.salt_env, detection.salt_file, "detection.salt").encode()
