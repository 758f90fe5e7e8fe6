"""Suspicions against accounts of all partitions, to findings of those that began an attack together, and decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from detectors.contract import DetectorInfo
from detectors.gang import KnownGang
from detectors.head_count import NOBODY, Heads, joined
from detectors.joint import Joint
from detectors.joint_finding import joint_finding
from detectors.registry import OPTIONAL_ROW_DETECTORS, ROW_DETECTORS
from detectors.suspicion import Suspicion
from monitor.cases import Cases
from monitor.core import Core
from monitor.shares import NEVER, Part, Progress, Suspects
from monitor.slot_merger import SlotMerger
from monitor.step import StepResult
from monitor.suspects import News

_INCIDENT: Final = "incident/"
_SLOT: Final = "slot/"
_KNOWN: Final = "known/"
_KINDS: Final[dict[str, DetectorInfo]] = {
    kind.info.name: kind.info for kind in (*ROW_DETECTORS, *OPTIONAL_ROW_DETECTORS)
}


class JointWatch:
    """The models' view of whom partitions suspect."""

    def __init__(self, core: Core, state: Mapping[str, bytes], partitions: int) -> None:
        """``partitions``: of the topic that clients are spread over."""
        self._core = core
        self._merger = SlotMerger(partitions)
        self._models: dict[str, Joint] = {model: core.joint(model) for model in core.joint_models}
        self._cases = Cases(core.policy, core.settings.response.resolve_after_s)
        self._changes: dict[str, bytes | None] = {}
        self._merger.restore(state)
        self._cases.restore({k.removeprefix(_INCIDENT): v for k, v in state.items() if k.startswith(_INCIDENT)})
        self._restore(state)

    @property
    def closed_ts(self) -> float:
        """Event time up to which all that was suspected has been judged; 0 before the first."""
        closed = self._merger.closed
        return self._core.window_plan.end_ts(closed - 1) if closed > NEVER else 0.0

    def take(self, messages: Iterable[Suspects | Progress]) -> StepResult:
        """In the order of the topic; windows that all partitions have passed are judged at once."""
        result = StepResult()
        for message in messages:
            if isinstance(message, Suspects):
                place = (message.partition, message.index, message.model, message.number)
                self._merger.add(Part(*place, 0, message.data))
                continue
            for index, model, parts in self._merger.reach(message.partition, message.horizon, idle=message.idle):
                if model in self._models:
                    self._judge(index, model, parts, result)
        return result

    def delta(self) -> dict[str, bytes | None]:
        """State that changed since the last call; None means gone."""
        if self._merger.closed > NEVER:
            self._cases.prune(self.closed_ts)
        changes, self._changes = self._merger.delta() | self._changes, {}
        return changes | {f"{_INCIDENT}{key}": blob for key, blob in self._cases.delta().items()}

    def _judge(self, index: int, model: str, parts: list[Part], result: StepResult) -> None:
        joint, before = self._models[model], set(self._models[model].slots())
        news = [n for n in map(_news, parts) if n is not None and n.baseline == self._core.window_plan.baseline]
        active = joined([NOBODY, *(n.active for n in news)])
        found = joint.take(index, active, [s for n in news for s in n.suspicions if s.detector in _KINDS])
        for gone in before - joint.slots().keys():
            self._changes[f"{_SLOT}{gone}/{model}"] = None
        heads, suspicions = joint.slots()[index]
        slot = News(self._core.window_plan.baseline, heads.astype("<u8").tobytes(), suspicions)
        self._changes[f"{_SLOT}{index}/{model}"] = msgspec.msgpack.encode(slot)
        self._changes[f"{_KNOWN}{model}"] = msgspec.msgpack.encode(joint.known) if joint.known else None
        for gang in found:
            finding = joint_finding(_KINDS[gang.detector], model, gang)
            incident, decisions = self._cases.found(finding)
            result.add(finding, incident, decisions)

    def _restore(self, state: Mapping[str, bytes]) -> None:
        slots: dict[str, dict[int, tuple[Heads, list[Suspicion]]]] = {}
        for name, blob in state.items():
            if name.startswith(_SLOT):
                index, _, model = name.removeprefix(_SLOT).partition("/")
                slot = msgspec.msgpack.decode(blob, type=News)
                if slot.baseline == self._core.window_plan.baseline:
                    slots.setdefault(model, {})[int(index)] = (slot.active, slot.suspicions)
                else:
                    self._changes[name] = None
        for model, joint in self._models.items():
            known = state.get(f"{_KNOWN}{model}")
            joint.restore(slots.get(model, {}), msgspec.msgpack.decode(known, type=list[KnownGang]) if known else [])


def _news(part: Part) -> News | None:
    """None for a piece that cannot be read: one damaged record must not end the stream."""
    try:
        return msgspec.msgpack.decode(part.data, type=News)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
