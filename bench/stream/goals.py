"""What a streaming benchmark is given, and which of its rows fall short."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bench.results import Table, publish


@dataclass
class Run:
    """One call of ``bench.streaming``: where files go, how much is measured, and what fell short."""

    scratch: Path
    command: str
    quick: bool = False
    short: list[str] = field(default_factory=list)

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    def at_least(self, row: str, value: float, goal: float) -> None:
        if not value >= goal:
            self.short.append(f"{row}: {value:,.4g}, at least {goal:,.4g} is asked for")

    def at_most(self, row: str, value: float, goal: float) -> None:
        if not value <= goal:
            self.short.append(f"{row}: {value:,.4g}, at most {goal:,.4g} is asked for")

    def publish(self, table: Table) -> None:
        """A quick run is for trying out: it is not kept."""
        publish(table, self.command, keep=not self.quick)
