"""The run of hits behind a detector's evidence against a client."""

from __future__ import annotations

from typing import Final

import msgspec

#: Event ids kept per run of hits.
MAX_EVENTS: Final = 20
#: Bytes of a run, and of an event id, next to the id's characters.
_BYTES: Final = 250
_EVENT_BYTES: Final = 60


class Run(msgspec.Struct, array_like=True, gc=False):
    """Hits of one detector on one client since its evidence last was nothing.

    Attributes:
        since: opinions on the client up to and with the first hit; since_ts: the hit's event time.
        count: hits at the lowest line.
        events: ids of the latest events among them, oldest first.
    """

    since: int
    since_ts: float
    count: int = 0
    events: tuple[str, ...] = ()

    def add(self, event: str) -> int:
        """One more hit; bytes that the run has grown by."""
        self.count += 1
        if self.events and self.events[-1] == event:
            return 0
        dropped = len(self.events[0]) + _EVENT_BYTES if len(self.events) == MAX_EVENTS else 0
        self.events = (*self.events[-MAX_EVENTS + 1 :], event)
        return len(event) + _EVENT_BYTES - dropped

    @property
    def nbytes(self) -> int:
        """Memory it takes, about."""
        return _BYTES + sum(map(len, self.events)) + _EVENT_BYTES * len(self.events)
