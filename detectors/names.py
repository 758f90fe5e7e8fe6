"""Names by number, for columns that have many of them in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


class Names:
    """Attributes:
    clients: each name once; only ever added to, so that a number stays good.
    """

    def __init__(self) -> None:
        self.clients: list[str] = []
        self._place: dict[str, int] = {}

    def places(self, clients: Sequence[str]) -> npt.NDArray[np.int32]:
        """The number of each; strangers get the next ones."""
        place, known = self._place, len(self._place)
        found = [place.setdefault(client, len(place)) for client in clients]
        self.clients += dict.fromkeys(client for client, i in zip(clients, found, strict=True) if i >= known)
        return np.array(found, dtype=np.int32)

    def number(self, client: str) -> int:
        """Of one; -1 for a stranger."""
        return self._place.get(client, -1)
