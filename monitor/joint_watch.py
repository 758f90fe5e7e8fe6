"""Suspicions against accounts of all partitions, to findings of those that began an attack together, and decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from detectors.contract import DetectorInfo
from detectors.gang import KnownGang
from detectors.head_count import NOBODY, joined
from detectors.joint import Joint
from detectors.joint_finding import joint_finding
from detectors.registry import OPTIONAL_ROW_DETECTORS, ROW_DETECTORS
from monitor.core import Core
from monitor.shares import Part, Progress, Suspects
from monitor.slot_book import SlotBook
from monitor.step import StepResult
from monitor.suspects import News

_KINDS: Final[dict[str, DetectorInfo]] = {
    kind.info.name: kind.info for kind in (*ROW_DETECTORS, *OPTIONAL_ROW_DETECTORS)
}


class JointWatch:
    """The models' view of whom partitions suspect."""

    def __init__(self, core: Core, state: Mapping[str, bytes], partitions: int) -> None:
        """``partitions``: of the topic that clients are spread over."""
        self._models: dict[str, Joint] = {model: core.joint(model) for model in core.joint_models}
        self._baseline = core.window_plan.baseline
        self._book = SlotBook(core, state, partitions, News, KnownGang)
        for model, joint in self._models.items():
            slots, known = self._book.restored(model)
            joint.restore({index: (news.active, news.suspicions) for index, news in slots.items()}, known)

    @property
    def closed_ts(self) -> float:
        """Event time up to which all that was suspected has been judged; 0 before the first."""
        return self._book.closed_ts

    def take(self, messages: Iterable[Suspects | Progress]) -> StepResult:
        """In the order of the topic; windows that all partitions have passed are judged at once."""
        result = StepResult()
        for message in messages:
            if isinstance(message, Suspects):
                place = (message.partition, message.index, message.model, message.number)
                self._book.merger.add(Part(*place, 0, message.data))
                continue
            for index, model, parts in self._book.merger.reach(message.partition, message.horizon, idle=message.idle):
                if model in self._models:
                    self._judge(index, model, parts, result)
        return result

    def delta(self) -> dict[str, bytes | None]:
        """State that changed since the last call; None means gone."""
        return self._book.delta()

    def _judge(self, index: int, model: str, parts: list[Part], result: StepResult) -> None:
        joint, before = self._models[model], set(self._models[model].slots())
        news = [n for n in map(_news, parts) if n is not None and n.baseline == self._baseline]
        active = joined([NOBODY, *(n.active for n in news)])
        found = joint.take(index, active, [s for n in news for s in n.suspicions if s.detector in _KINDS])
        heads, suspicions = joint.slots()[index]
        slot = News(self._baseline, heads.astype("<u8").tobytes(), suspicions)
        self._book.write(model, index, slot, before - joint.slots().keys(), joint.known)
        for gang in found:
            self._book.found(joint_finding(_KINDS[gang.detector], model, gang), result)


def _news(part: Part) -> News | None:
    """None for a piece that cannot be read: one damaged record must not end the stream."""
    try:
        return msgspec.msgpack.decode(part.data, type=News)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
