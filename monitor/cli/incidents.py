"""``vedette incidents``, ``vedette actions`` and ``vedette undo``: what an operator does beside a running worker."""

from __future__ import annotations

import getpass
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Column, Table
from rich.text import Text

from monitor.cli.options import ConfigOption, open_store
from monitor.config import load
from monitor.errors import UserError
from monitor.response import build_executor
from monitor.settings import Settings
from monitor.store import Store
from monitor.views import IncidentStatus, report_json, report_markdown, status_of, title, when
from responders.decision import ActionType, Outcome, Status
from responders.ledger import Ledger
from responders.record import ActionRecord
from responders.text import visible

_LIVE = (Status.PENDING, Status.APPLYING, Status.APPLIED)

incidents_app = typer.Typer(help="Incidents: what has been found, and what became of it.", no_args_is_help=True)
actions_app = typer.Typer(help="Actions: what has been done about incidents.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(incidents_app, name="incidents")
    app.add_typer(actions_app, name="actions")
    app.command("undo")(undo)


@incidents_app.command("list")
def list_incidents(
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON report a line.")] = False,
) -> None:
    """All incidents, newest last."""
    settings = load(config)
    store, ledger = _open(settings)
    table = _table("Incident", "Status", "Severity", "First seen (UTC)", "What")
    for incident, mark in store.incidents():
        actions = ledger.find(incident_id=incident.id)
        status = status_of(incident, actions, mark, store.newest_event_ts(), settings.response.resolve_after_s)
        if as_json:
            typer.echo(msgspec.json.format(report_json(incident, actions, status), indent=0))
            continue
        table.add_row(
            incident.id,
            status.value,
            incident.severity.value,
            when(incident.first_seen),
            Text(visible(title(incident), 120)),
        )
    if not as_json:
        Console().print(table if table.row_count else "no incidents")


@incidents_app.command("show")
def show_incident(
    incident_id: Annotated[str, typer.Argument(help="Incident id, as `incidents list` prints it.")],
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
) -> None:
    """One incident whole: timeline, evidence, actions and their outcome."""
    settings = load(config)
    store, ledger = _open(settings)
    found = store.incident(incident_id)
    if found is None:
        raise UserError(f"no incident {incident_id!r}; `vedette incidents list` shows them")
    incident, mark = found
    actions = ledger.find(incident_id=incident_id)
    status = status_of(incident, actions, mark, store.newest_event_ts(), settings.response.resolve_after_s)
    if as_json:
        typer.echo(report_json(incident, actions, status))
    else:
        Console().print(Markdown(report_markdown(incident, actions, status)))


@incidents_app.command("mark")
def mark_incident(
    incident_id: Annotated[str, typer.Argument(help="Incident id.")],
    status: Annotated[str, typer.Argument(help="resolved | false_positive | open (takes a mark back)")],
    config: ConfigOption = None,
) -> None:
    """Say what an incident was. ``false_positive`` also takes back every action still in force."""
    marks = {"resolved": "resolved", "false_positive": "false_positive", "open": ""}
    if status not in marks:
        raise UserError(f"status {status!r} is none of {', '.join(marks)}")
    settings = load(config)
    store, ledger = _open(settings)
    if not store.mark(incident_id, marks[status], getpass.getuser()):
        raise UserError(f"no incident {incident_id!r}; `vedette incidents list` shows them")
    Console().print(f"{incident_id}: {status}")
    if marks[status] == IncidentStatus.FALSE_POSITIVE.value:
        for record in ledger.find(incident_id=incident_id):
            if record.status in _LIVE and record.decision.type is not ActionType.NOTIFY:
                _say(record, _undo(settings, store, ledger, record.decision.id))


@actions_app.command("list")
def list_actions(
    config: ConfigOption = None,
    active: Annotated[bool, typer.Option("--active", help="Only those in force.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """What was decided and what became of it, newest last."""
    settings = load(config)
    _, ledger = _open(settings)
    records = ledger.active(time.time()) if active else ledger.find(limit=10_000)[::-1]
    table = _table("Action, incident", "Type", "Target", "Status, why", "Expires (UTC)")
    for r in records:
        if as_json:
            typer.echo(msgspec.json.encode(r))
            continue
        table.add_row(
            Text(f"{r.decision.id}\n{r.decision.incident_id}"),
            r.decision.type.value,
            Text(visible(f"{r.decision.scope} {r.decision.value}", 60)),
            Text(r.status.value + (f"\n{r.why.value}" if r.why else "")),
            when(r.expires_at) if r.expires_at else "",
        )
    if not as_json:
        Console().print(table if table.row_count else "no actions")


def undo(
    action_id: Annotated[str, typer.Argument(help="Action id, as `actions list` prints it.")],
    config: ConfigOption = None,
) -> None:
    """Take an action back. Safe beside a running worker; exit code 1 if it could not be taken back."""
    settings = load(config)
    store, ledger = _open(settings)
    record = ledger.get(action_id)
    if record is None:
        raise UserError(f"no action {action_id!r}; `vedette actions list` shows them")
    outcome = _undo(settings, store, ledger, action_id)
    _say(record, outcome)
    if not outcome.ok:
        raise typer.Exit(1)


def _table(ids: str, *others: str) -> Table:
    """A table for 80 columns whose first column is never cut: other commands take what it shows."""
    table = Table(Column(ids, no_wrap=True), *(Column(name, overflow="fold") for name in others), box=SIMPLE_HEAD)
    table.show_edge = table.pad_edge = False
    return table


def _undo(settings: Settings, store: Store, ledger: Ledger, action_id: str) -> Outcome:
    executor = build_executor(settings, Path(settings.data_dir), ledger, store)
    return executor.undo(action_id, time.time(), getpass.getuser())


def _say(record: ActionRecord, outcome: Outcome) -> None:
    what = f"{record.decision.type.value} {record.decision.scope} {visible(record.decision.value, 60)}"
    done = "taken back" if outcome.ok else "not taken back"
    Console().print(Text(f"{record.decision.id} ({what}): {done}: {outcome.why.value} {visible(outcome.detail, 300)}"))


def _open(settings: Settings) -> tuple[Store, Ledger]:
    store = open_store(settings)
    return store, Ledger(Path(settings.data_dir) / "vedette.db")
