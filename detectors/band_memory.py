"""Rows of one model and one band that later ones are compared with."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from detectors.band_entries import EMPTY, Entries, Link, meet, remember
from detectors.names import Names

#: Names of clients long gone are dropped when there are so many more than rows.
_SPARE_NAMES: Final = 1000


class BandMemory:
    """What it costs to compare and remember new rows hardly depends on how many clients it knows."""

    def __init__(self) -> None:
        self._names = Names()
        self._rows = replace(EMPTY, clients=self._names.clients)

    def meet(self, new: Entries, reach: tuple[int, int], unit: float) -> tuple[list[Link], Entries]:
        """Who of the new rows links to whom, and which of them may be remembered (``band_entries.meet``)."""
        return meet(new.of(self._names), self._rows, reach, unit)

    def remember(self, new: Entries) -> None:
        """Rows behind those that are there (``band_entries.remember``)."""
        self._rows = remember(self._rows, new.of(self._names))

    def forget(self, before_ts: float) -> None:
        """Drop older rows."""
        live = self._rows.ts >= before_ts
        if live.all():
            return
        kept = self._rows.take(live)
        if len(kept.clients) > 2 * len(kept) + _SPARE_NAMES:
            self._names = Names()
            kept = kept.compact().of(self._names)
        self._rows = kept
