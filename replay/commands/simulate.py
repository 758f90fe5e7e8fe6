"""``vedette simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from replay.simulate import PRESET_NAMES, preset, save
from replay.simulate import simulate as run_simulation


def simulate(
    scenario: Annotated[str, typer.Argument(help="One of: " + ", ".join(PRESET_NAMES) + ".")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Recording to write; labels go beside it.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 7,
) -> None:
    """Make a labelled recording: honest clients and real attacks on a really trained model.

    Attacks are those of the Adversarial Robustness Toolbox (extra `vedette[simulate]`).
    """
    chosen = preset(scenario)
    with Progress(console=Console(), transient=True) as progress:
        task = progress.add_task(f"simulating {scenario}")
        simulated = run_simulation(chosen, seed, lambda done, total: progress.update(task, completed=done, total=total))
    labels = save(simulated, output)
    typer.echo(f"{len(simulated.events)} events: {output}\nlabels: {labels}")
