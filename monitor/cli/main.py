"""The ``vedette`` command. Commands about recordings come from ``replay`` as plug-ins, so that imports go one way."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points, version
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from monitor.cli import check, dead_letters, incidents
from monitor.cli import run as run_command
from monitor.errors import UserError
from responders.text import visible

COMMANDS_GROUP = "vedette.commands"

app = typer.Typer(
    name="vedette",
    help="Vedette watches the traffic of deployed machine-learning models, raises the alarm on attacks, and acts.",
    epilog="Start with `vedette demo`. Every command has --help.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


def _version(value: bool) -> None:
    if value:
        Console().print(f"vedette {version('vedette')}")
        raise typer.Exit


@app.callback()
def main(
    _show: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Real-time attack detection for deployed machine-learning models."""


run_command.register(app)
check.register(app)
incidents.register(app)
dead_letters.register(app)


def run() -> None:
    """Entry point: plug-ins, then the command; errors a user can mend end with exit code 2 and one clear message."""
    for entry in sorted(entry_points(group=COMMANDS_GROUP), key=lambda e: e.name):
        entry.load()(app)
    try:
        app(prog_name="vedette")
    except UserError as error:
        _fail(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        _fail(f"{error.filename}: {error.strerror}")


def _fail(message: str) -> NoReturn:
    Console(stderr=True).print(
        f"[bold red]error:[/] {escape(visible(message, 10_000, lines=True))}", highlight=False, soft_wrap=True
    )
    sys.exit(2)
