"""Something that stands in the way of a worker, or soon may: what, where, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Problem:
    """An ``error`` keeps a worker from starting; with a ``warning`` it starts and says it.

    Attributes:
        where: the setting to look at.
        what: what is wrong, in figures and names.
        cure: what to do.
    """

    level: Literal["error", "warning"]
    where: str
    what: str
    cure: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.cure}"
