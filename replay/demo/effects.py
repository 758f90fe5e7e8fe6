"""What the demo left behind, for people to look into: blocklist, quarantine, models in service, messages, files."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table
from rich.text import Text

from monitor.settings import Response
from replay.demo.workspace import Workspace


def effects_table(space: Workspace, response: Response, records: str, posts: int, mails: int) -> Table:
    """Effects are read from the files that a web server, a gateway or a model server would read."""
    quarantine = space.data / response.quarantine_dir
    stored = sum(1 for f in quarantine.glob("*/requests.jsonl") for _ in f.open("rb"))
    blocklist = space.data / response.blocklist_file
    serving = [(p.name, (p / "current").resolve().name) for p in sorted(space.registry.iterdir()) if p.is_dir()]
    incidents = space.data / "incidents"
    config = shown(space.config)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for label, value in (
        ("records", records),
        ("blocked", ", ".join(addresses(blocklist)) or "nobody"),
        ("", shown(blocklist)),
        ("held", f"{stored} requests, in {shown(quarantine)}"),
        ("serving", ", ".join(f"{model} version {version}" for model, version in serving)),
        ("told", f"{posts} Slack posts and updates, {mails} e-mails"),
        ("report", shown(space.report)),
        ("incidents", f"{len(list(incidents.glob('*.md')))} reports, in {shown(incidents)}"),
        ("next", f"vedette incidents list -c {config}"),
        ("", f"vedette actions list -c {config}"),
        ("", f"vedette undo ACTION -c {config}"),
    ):
        table.add_row(label, Text(value))
    return table


def addresses(blocklist: Path) -> list[str]:
    """The addresses in a blocklist file; none if there is no file."""
    if not blocklist.exists():
        return []
    lines = blocklist.read_text(encoding="utf-8").splitlines()
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def shown(path: Path) -> str:
    """The path as short as it still works from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
