"""Links between rows of different clients, from all partitions of the bands, to findings of groups and decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from detectors.band_entries import Link
from detectors.fingerprints import Fingerprints
from detectors.group_finding import group_finding
from detectors.groups import Known
from monitor.band_watch import decode_links
from monitor.core import Core
from monitor.shares import Part, Reached
from monitor.slot_book import SlotBook
from monitor.step import StepResult


class _Slot(msgspec.Struct, array_like=True):
    baseline: str
    rows: int
    links: list[Link]


class GroupWatch:
    """The models' view of what partitions of the bands have compared."""

    def __init__(self, core: Core, state: Mapping[str, bytes], lanes: int) -> None:
        """``lanes``: partitions of the bands."""
        self._groups = {model: core.groups(model) for model in core.fingerprints}
        self._baseline = core.window_plan.baseline
        self._book = SlotBook(core, state, lanes, _Slot, Known)
        for model, groups in self._groups.items():
            slots, known = self._book.restored(model)
            groups.restore({index: (slot.rows, slot.links) for index, slot in slots.items()}, known)

    @property
    def closed_ts(self) -> float:
        """Event time up to which all that was compared has been judged; 0 before the first."""
        return self._book.closed_ts

    def take(self, messages: Iterable[Part | Reached]) -> StepResult:
        """In the order of the topic; windows that all partitions of the bands have passed are judged at once."""
        result = StepResult()
        for message in messages:
            if isinstance(message, Part):
                self._book.merger.add(message)
            else:
                for index, model, parts in self._book.merger.reach(message.source, message.horizon):
                    self._judge(index, model, parts, result)
        return result

    def delta(self) -> dict[str, bytes | None]:
        """State that changed since the last call; None means gone."""
        return self._book.delta()

    def _judge(self, index: int, model: str, parts: list[Part], result: StepResult) -> None:
        groups = self._groups.get(model)
        if groups is None:
            return
        before = groups.slots().keys()
        found = groups.take(index, sum(part.rows for part in parts), _links(parts))
        after = groups.slots()
        slot = _Slot(self._baseline, *after[index]) if index in after else None
        self._book.write(model, index, slot, before - after.keys(), groups.known)
        for group in found:
            self._book.found(group_finding(Fingerprints.info, model, "", group), result)


def _links(parts: list[Part]) -> list[Link]:
    """Of pieces that can be read: one damaged record must not end the stream."""
    links: list[Link] = []
    for part in parts:
        try:
            links += decode_links(part.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
    return links
