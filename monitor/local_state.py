"""State in the data folder's database: for workers of one machine, which share the folder."""

from __future__ import annotations

import asyncio
import uuid

from monitor.state import Changes, Saved, StateTakenError
from monitor.store import Store


class LocalState:
    """A ``StateStore`` in ``vedette.db``. A scope belongs to who loaded it last."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._owner = uuid.uuid4().hex

    async def start(self) -> None:
        pass

    async def load(self, scope: str, partition: int) -> Saved:
        del partition
        return await asyncio.to_thread(self._load, scope)

    async def save(self, scope: str, changes: Changes, next_offset: int) -> int:
        if not await asyncio.to_thread(self._store.save_state, scope, self._owner, changes, next_offset):
            raise StateTakenError(f"{scope}: another worker of this data_dir has taken it over")
        return sum(len(blob) for blob in changes.values() if blob is not None)

    async def stop(self) -> None:
        pass

    def _load(self, scope: str) -> Saved:
        return Saved(*self._store.take_state(scope, self._owner))
