"""What of one partition was delivered, and up to where it may be committed."""

from __future__ import annotations

from collections import deque
from typing import Protocol


class Delivery(Protocol):
    """A run of records handed over at once. ``dropped``: it was taken back, and will be delivered again."""

    first_offset: int
    next_offset: int
    acked: bool
    dropped: bool

    def lost(self) -> bool:
        """Is there a reader that does not have it, if the readers' queues are empty?"""
        ...


class Progress:
    """The deliveries of one partition in one consumer generation, in the order of their offsets.

    They follow one another in the log without a hole, so an offset that no delivery holds belongs to no record
    (compaction, transaction markers) and needs no acknowledgement. Hence the offset to commit is ``next_offset`` of
    the last delivery before the first one that is not acknowledged: no offset is looked at one by one.

    ``epoch`` counts the times that the log position was moved: records fetched in an earlier epoch are not delivered.
    """

    def __init__(self, generation: int | None) -> None:
        self.generation = generation
        self.epoch = 0
        #: where the next delivery starts (up to a gap); None before the first one
        self.position: int | None = None
        self._safe: int | None = None
        self._waiting: deque[Delivery] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def deliver(self, delivery: Delivery) -> None:
        """Take note of the next delivery."""
        self.safe_offset()  # lets go of what is acknowledged
        self._waiting.append(delivery)
        self.position = delivery.next_offset

    @property
    def last(self) -> Delivery | None:
        """The latest delivery, unless it was acknowledged and let go of."""
        return self._waiting[-1] if self._waiting else None

    def grown(self) -> None:
        """The latest delivery reaches further now."""
        self.position = self._waiting[-1].next_offset

    def safe_offset(self) -> int | None:
        """The offset that may be committed: all records before it are acknowledged. None: nothing is, yet."""
        while self._waiting and self._waiting[0].acked:
            self._safe = self._waiting.popleft().next_offset
        return self._safe

    def take_back_lost(self) -> int | None:
        """Take back from the first lost delivery on. The offset to read on from, or None if none was lost."""
        self.safe_offset()
        waiting = list(self._waiting)
        first = next((i for i, d in enumerate(waiting) if not d.acked and d.lost()), None)
        if first is None:
            return None
        self._drop(waiting[first:])
        self._waiting = deque(waiting[:first])
        self.position = waiting[first].first_offset
        return self.position

    def move(self, position: int | None) -> None:
        """Begin anew at ``position``: what was delivered before no longer counts, and its offsets are given up."""
        self._drop(self._waiting)
        self._waiting.clear()
        self._safe = None
        self.position = position

    def again(self) -> int | None:
        """The log position is about to move without our doing; the offset it must come back to, None if any will do."""
        if self.position is not None:
            self.epoch += 1
        return self.position

    def _drop(self, deliveries: deque[Delivery] | list[Delivery]) -> None:
        self.epoch += 1
        for delivery in deliveries:
            delivery.dropped = True
