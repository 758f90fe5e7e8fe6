"""How far several sources have come, and which windows nobody adds to any more."""

from __future__ import annotations

import msgspec

from monitor.windows import NEVER


class Horizons(msgspec.Struct, array_like=True):
    """Attributes:
    by_source: (horizon, idle): the source adds nothing more below its horizon; nobody waits for it while it is idle.
    closed: all that are waited for have passed windows below it; ``NEVER`` before the first.
    """

    by_source: dict[int, tuple[int, bool]] = {}
    closed: int = NEVER

    def of(self, source: int) -> int:
        return self.by_source.get(source, (NEVER, False))[0]

    def reach(self, source: int, horizon: int, *, idle: bool, sources: int) -> None:
        """A source says how far it has come. ``sources``: at least so many there are, and all of them must speak.

        Neither a horizon nor ``closed`` ever goes back.
        """
        self.by_source[source] = (max(horizon, self.of(source)), idle)
        everyone = range(max(sources, 1 + max(self.by_source)))
        waited_for = [h for h, quiet in (self.by_source.get(s, (NEVER, False)) for s in everyone) if not quiet]
        self.closed = max(self.closed, min(waited_for, default=NEVER))
