"""The commands about recordings; ``register`` adds them to ``vedette`` (entry point ``vedette.commands``)."""

from __future__ import annotations

import typer

from replay.commands.calibrate import calibrate
from replay.commands.demo import demo
from replay.commands.evaluate import evaluate
from replay.commands.record import record
from replay.commands.replay import replay
from replay.commands.simulate import simulate
from replay.commands.sketch import sketch


def register(app: typer.Typer) -> None:
    """Add every command of this folder."""
    for name, command in (
        ("demo", demo),
        ("calibrate", calibrate),
        ("sketch", sketch),
        ("replay", replay),
        ("record", record),
        ("simulate", simulate),
        ("evaluate", evaluate),
    ):
        app.command(name)(command)
