"""``vedette evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from monitor.event import Event
from replay.alerts import read_alerts
from replay.evaluate import evaluate as run_evaluation
from replay.labels import read_labels
from replay.recording import read_recording
from replay.report_html import render_html
from replay.report_table import render_table


def evaluate(
    alerts: Annotated[Path, typer.Argument(help="Alerts file, as `--alerts` writes it.")],
    labels: Annotated[Path, typer.Option(help="The truth: which client is what, and when shifts began (JSON).")],
    recording: Annotated[
        Path | None, typer.Option(help="The recording the alerts came from; for figures in queries and time.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a report with plots; one file, opens offline.")] = None,
) -> None:
    """Score alerts against labels: detection rate, false alarms, queries and seconds until found, per attack."""
    events = None if recording is None else (e for e in read_recording(recording) if isinstance(e, Event))
    evaluation = run_evaluation(read_alerts(alerts), read_labels(labels), events)
    if html is not None:
        html.write_text(render_html(evaluation, f"Detection report: {alerts.name}"), encoding="utf-8")
    if as_json:
        typer.echo(evaluation.to_json(), nl=False)
    else:
        Console().print(render_table(evaluation))
        if html is not None:
            typer.echo(f"report: {html}")
