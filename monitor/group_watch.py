"""Links between rows of different clients, from all partitions of the bands, to findings of groups and decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from detectors.band_entries import Link
from detectors.fingerprints import Fingerprints
from detectors.group_finding import group_finding
from detectors.groups import Known
from monitor.band_watch import decode_links
from monitor.cases import Cases
from monitor.core import Core
from monitor.shares import NEVER, Part, Reached
from monitor.slot_merger import SlotMerger
from monitor.step import StepResult

_INCIDENT: Final = "incident/"
_SLOT: Final = "slot/"
_KNOWN: Final = "known/"


class _Slot(msgspec.Struct, array_like=True):
    baseline: str
    rows: int
    links: list[Link]


class GroupWatch:
    """The models' view of what partitions of the bands have compared."""

    def __init__(self, core: Core, state: Mapping[str, bytes], lanes: int) -> None:
        """``lanes``: partitions of the bands."""
        self._core = core
        self._merger = SlotMerger(lanes)
        self._groups = {model: core.groups(model) for model in core.fingerprints}
        self._cases = Cases(core.policy, core.settings.response.resolve_after_s)
        self._changes: dict[str, bytes | None] = {}
        self._merger.restore(state)
        self._cases.restore({k.removeprefix(_INCIDENT): v for k, v in state.items() if k.startswith(_INCIDENT)})
        self._restore(state)

    @property
    def closed_ts(self) -> float:
        """Event time up to which all that was compared has been judged; 0 before the first."""
        closed = self._merger.closed
        return self._core.window_plan.end_ts(closed - 1) if closed > NEVER else 0.0

    def take(self, messages: Iterable[Part | Reached]) -> StepResult:
        """In the order of the topic; windows that all partitions of the bands have passed are judged at once."""
        result = StepResult()
        for message in messages:
            if isinstance(message, Part):
                self._merger.add(message)
            else:
                for index, model, parts in self._merger.reach(message.source, message.horizon):
                    self._judge(index, model, parts, result)
        return result

    def delta(self) -> dict[str, bytes | None]:
        """State that changed since the last call; None means gone."""
        if self._merger.closed > NEVER:
            self._cases.prune(self.closed_ts)
        changes, self._changes = self._merger.delta() | self._changes, {}
        return changes | {f"{_INCIDENT}{key}": blob for key, blob in self._cases.delta().items()}

    def _judge(self, index: int, model: str, parts: list[Part], result: StepResult) -> None:
        groups = self._groups.get(model)
        if groups is None:
            return
        before = groups.slots().keys()
        found = groups.take(index, sum(part.rows for part in parts), _links(parts))
        after = groups.slots()
        for gone in before - after.keys():
            self._changes[f"{_SLOT}{gone}/{model}"] = None
        if index in after:
            slot = _Slot(self._core.window_plan.baseline, *after[index])
            self._changes[f"{_SLOT}{index}/{model}"] = msgspec.msgpack.encode(slot)
        self._changes[f"{_KNOWN}{model}"] = msgspec.msgpack.encode(groups.known) if groups.known else None
        for group in found:
            finding = group_finding(Fingerprints.info, model, "", group)
            incident, decisions = self._cases.found(finding)
            result.add(finding, incident, decisions)

    def _restore(self, state: Mapping[str, bytes]) -> None:
        slots: dict[str, dict[int, tuple[int, list[Link]]]] = {}
        for name, blob in state.items():
            if name.startswith(_SLOT):
                index, _, model = name.removeprefix(_SLOT).partition("/")
                slot = msgspec.msgpack.decode(blob, type=_Slot)
                if slot.baseline == self._core.window_plan.baseline:
                    slots.setdefault(model, {})[int(index)] = (slot.rows, slot.links)
                else:
                    self._changes[name] = None
        for model, groups in self._groups.items():
            known = state.get(f"{_KNOWN}{model}")
            groups.restore(slots.get(model, {}), msgspec.msgpack.decode(known, type=list[Known]) if known else [])


def _links(parts: list[Part]) -> list[Link]:
    """Of pieces that can be read: one damaged record must not end the stream."""
    links: list[Link] = []
    for part in parts:
        try:
            links += decode_links(part.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
    return links
