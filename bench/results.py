"""Benchmark tables: printed, and kept in ``bench/RESULTS.md`` under their permanent ids."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

_PREAMBLE = "# Results\n\nRatios hold; absolute figures are of one machine.\n"
RESULTS = Path(__file__).with_name("RESULTS.md")


@dataclass
class Table:
    """A Markdown table with a permanent id."""

    id: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    notes: str = ""

    def row(self, *cells: str) -> None:
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells for {len(self.columns)} columns")
        self.rows.append(cells)

    def markdown(self) -> str:
        lines = ["| " + " | ".join(self.columns) + " |", "|" + "---|" * len(self.columns)]
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        return "\n".join(lines)


def publish(table: Table, command: str, *, keep: bool = True) -> None:
    """Print the table and, to ``keep`` it, put it into RESULTS.md in place of the former one with the same id."""
    stamp = f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} cores"
    notes = f"\n\n{table.notes}" if table.notes else ""
    section = f"## {table.id}\n\n{table.title}. `{command}` ({stamp})\n\n{table.markdown()}{notes}\n"
    print(section, flush=True)
    if not keep:
        return
    known = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else _PREAMBLE
    pattern = re.compile(rf"^## {re.escape(table.id)}\n.*?(?=^## |\Z)", re.M | re.S)
    known = pattern.sub(lambda _: section + "\n", known) if pattern.search(known) else f"{known.rstrip()}\n\n{section}"
    RESULTS.write_text(known.rstrip() + "\n", encoding="utf-8")
