"""Where the state of a scope (a partition, or the models) is kept, together with the offset it covers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

Changes = Mapping[str, bytes | None]


@dataclass(slots=True)
class Saved:
    """State by key, and the offset of the first source record that is not in it; None if nothing was ever saved."""

    values: dict[str, bytes] = field(default_factory=dict)
    next_offset: int | None = None


class StateTakenError(RuntimeError):
    """Somebody else owns the scope now; what was to be saved is theirs to work out again."""


class StateStore(Protocol):
    """Owners call ``load`` when a scope becomes theirs and then ``save``, one at a time."""

    async def start(self) -> None: ...

    async def load(self, scope: str, partition: int) -> Saved:
        """The last checkpoint of a scope. From now on former owners cannot change it.

        Args:
            scope: its name.
            partition: of the source; says where a partitioned store keeps it.
        """
        ...

    async def save(self, scope: str, changes: Changes, next_offset: int) -> int:
        """A checkpoint, all or nothing; bytes written. Safe when it returns.

        Args:
            changes: by key; None means gone.
            next_offset: of the first source record the state does not cover.

        Raises:
            StateTakenError: the scope has a new owner.
        """
        ...

    async def stop(self) -> None: ...
