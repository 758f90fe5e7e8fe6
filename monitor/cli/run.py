"""``vedette run`` and ``vedette check-config``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console
from rich.markup import escape

from monitor import logs
from monitor.cli.options import ConfigOption
from monitor.config import load
from monitor.core import load_core
from monitor.layout import prepare
from responders.text import visible


def register(app: typer.Typer) -> None:
    app.command("run")(run)
    app.command("check-config")(check_config)


def run(config: ConfigOption = None) -> None:
    """Run a worker: consume events from Kafka, detect attacks, act on them (dry-run unless configured otherwise).

    Stops on SIGTERM or Ctrl-C after finishing what it has taken. Run it under a supervisor that restarts it (systemd,
    Docker, Kubernetes): after a crash it goes on exactly where its last checkpoint was.
    """
    settings = load(config)
    logs.setup(settings.logging)
    core = load_core(settings)
    layout, warnings = prepare(settings)
    # Faust takes two seconds to import; a configuration error need not wait for it.
    from monitor.app_main import work

    work(settings, core, layout, warnings)


def check_config(
    config: Annotated[Path, typer.Argument(help="Configuration file (YAML).")] = Path("vedette.yaml"),
    show: Annotated[bool, typer.Option(help="Print the whole configuration with defaults filled in.")] = False,
) -> None:
    """Check a configuration: every error at once, each with its path. Exit code 2 if there is any.

    The baseline file is read too, if one is named. Secrets are looked for, and never printed.
    """
    settings = load(config)
    console = Console()
    if show:
        import msgspec

        console.print(yaml.safe_dump(msgspec.to_builtins(settings), sort_keys=False), markup=False, highlight=False)
    if settings.detection.baseline:
        models = load_core(settings).baseline.models
        console.print(f"baseline: {len(models)} models ({escape(visible(', '.join(models), 300))})")
    console.print(f"[green]{escape(str(config))} is valid[/]; mode: [bold]{settings.response.mode}[/]")
