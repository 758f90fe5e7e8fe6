"""``vedette check``."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.markup import escape

from monitor.cli.options import ConfigOption
from monitor.config import load
from monitor.startup_check import check
from responders.text import visible


def register(app: typer.Typer) -> None:
    app.command("check")(check_all)


def check_all(config: ConfigOption = None) -> None:
    """Check whether a worker could start: machine, baseline, broker, login, topics, rights; everything at once.

    Changes nothing: topics that are absent are not created. Exit code 1 if a worker could not start. Run it as the user
    and on the machine of the worker; beside a running worker it finds that worker's port in use.
    """
    settings = load(config)
    console = Console()
    with Console(stderr=True).status("checking"):
        problems = check(settings)
    for problem in problems:
        colour = "red" if problem.level == "error" else "yellow"
        text = escape(visible(str(problem), 2000, lines=True))
        console.print(f"[{colour}]{problem.level}:[/] {text}", highlight=False, soft_wrap=True)
    errors = sum(p.level == "error" for p in problems)
    console.print(f"errors: {errors}, warnings: {len(problems) - errors}; mode: [bold]{settings.response.mode}[/]")
    if errors:
        raise typer.Exit(1)
