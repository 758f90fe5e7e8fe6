"""``vedette run`` and ``vedette check-config``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import structlog
import typer
import yaml
from rich.console import Console
from rich.markup import escape

from monitor import logs
from monitor.cli.options import ConfigOption
from monitor.config import load
from monitor.core import load_core
from monitor.kafka_wait import wait_for_broker, with_patience
from monitor.layout import layout
from monitor.startup_check import check, startup_error
from monitor.topics import ensure_worker_topics
from responders.text import visible


def register(app: typer.Typer) -> None:
    app.command("run")(run)
    app.command("check-config")(check_config)


def run(
    config: ConfigOption = None,
    wait: Annotated[bool, typer.Option(help="Wait for a broker that is not up yet; else exit with the reason.")] = True,
) -> None:
    """Run a worker: consume events from Kafka, detect attacks, act on them (dry-run unless configured otherwise).

    Everything that keeps it from starting is said at once (`vedette check` says it without starting). A broker that is
    not up yet is waited for; refused logins and missing rights end it, for waiting does not mend them.

    Stops on SIGTERM or Ctrl-C after finishing what it has taken. Run it under a supervisor that restarts it (systemd,
    Docker, Kubernetes): after a crash it goes on exactly where its last checkpoint was.
    """
    settings = load(config)
    logs.setup(settings.logging)
    core = load_core(settings)
    log = structlog.get_logger("vedette")
    if wait:
        wait_for_broker(settings, log.warning)
        look = partial(check, settings, load_baseline=False, unreachable_is_error=False)
        problems = with_patience(look, log.warning)
    else:
        problems = check(settings, load_baseline=False)
    if error := startup_error(problems):
        raise error
    ensure = partial(ensure_worker_topics, settings)
    report = with_patience(ensure, log.warning) if wait else ensure()
    if report.created:
        log.info("topics created", topics=list(report.created))
    # Faust takes two seconds to import; a configuration error need not wait for it.
    from monitor.app_main import work

    work(
        settings, core, layout(settings, report.partitions), map(str, problems)
    )  # errors were raised: these are warnings


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
