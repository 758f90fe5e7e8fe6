"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monitor.errors import UserError
from monitor.settings import Settings
from monitor.store import Store

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file (YAML); without it, the defaults.", show_default=False),
]


def open_store(settings: Settings) -> Store:
    """The worker's store, to read. Raises UserError where no worker has ever run."""
    path = Path(settings.data_dir) / "vedette.db"
    if not path.exists():
        raise UserError(f"{path} does not exist: no worker has run with data_dir {settings.data_dir!r} yet")
    return Store(path)
