"""``vedette demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def demo(
    folder: Annotated[Path, typer.Option(help="Where to keep outputs; emptied first if a former demo made it.")] = Path(
        "vedette-demo"
    ),
    speed: Annotated[
        float, typer.Option(min=0.0, help="Times faster than recorded; 0 = as fast as Kafka takes it.")
    ] = 25.0,
) -> None:
    """Show the whole of Vedette on this machine: Kafka, worker, attacks, findings, actions, messages.

    Ten minutes of recorded traffic (some forty honest clients and real attackers) go through an embedded broker to a
    real worker. Needs the extra `vedette[demo]`. Exit code 0 only if every attacker was found and no honest client
    was acted against.
    """
    from replay.demo.run import run_demo

    if not run_demo(folder, speed or None, Console()):
        raise typer.Exit(1)
