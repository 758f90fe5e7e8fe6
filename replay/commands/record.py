"""``vedette record``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from monitor.cli.options import ConfigOption
from monitor.codec.limits import Limits
from monitor.config import load
from replay.recorder import Until, record_topics, stopped_by_signal


def record(
    output: Annotated[Path, typer.Argument(help="Recording to write (.jsonl, .jsonl.gz, .jsonl.zst, .vdt, .vdt.zst).")],
    config: ConfigOption = None,
    topic: Annotated[list[str] | None, typer.Option(help="Topic, may be repeated; default: the events topic.")] = None,
    events: Annotated[int | None, typer.Option(help="Stop after this many events.")] = None,
    duration_s: Annotated[float | None, typer.Option(help="Stop after this many seconds.")] = None,
    idle_s: Annotated[float | None, typer.Option(help="Stop when nothing has come for this many seconds.")] = None,
    from_start: Annotated[bool, typer.Option(help="Begin with what the topic holds, not with what comes next.")] = True,
) -> None:
    """Record live traffic from Kafka into a file, until Ctrl-C or one of the limits.

    Joins no consumer group and commits nothing. Records that are no events go to OUTPUT.rejected.jsonl with the reason.
    """
    settings = load(config)
    console = Console()
    with stopped_by_signal() as stop, console.status("recording") as status:
        done = record_topics(
            settings.kafka,
            topic or [settings.topics.events.name],
            output,
            Until(events, duration_s, idle_s),
            from_start,
            Limits(max_bytes=settings.stream.max_event_bytes),
            stop,
            lambda so_far: status.update(f"recording: {so_far.events} events, {so_far.rejected} rejected"),
        )
    typer.echo(f"{done.events} events: {done.path}")
    if done.rejected:
        typer.echo(f"{done.rejected} records are no events: {done.rejected_path}")
