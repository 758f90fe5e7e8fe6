"""The books of a watch over the models' windows: what is still coming, what is remembered, and what was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from detectors.finding import Finding
from monitor.cases import Cases
from monitor.core import Core
from monitor.prefixed import over, under
from monitor.slot_merger import SlotMerger
from monitor.step import StepResult
from monitor.windows import NEVER

_INCIDENT: Final = "incident/"
_SLOT: Final = "slot/"
_KNOWN: Final = "known/"


class Slot(Protocol):
    """What is remembered of one window of one model, and the baseline that it was judged by."""

    @property
    def baseline(self) -> str: ...


_Slot = TypeVar("_Slot", bound=Slot)
_Known = TypeVar("_Known")


class SlotBook(Generic[_Slot, _Known]):
    """Attributes:
    merger: pieces of windows that are not over yet.
    """

    def __init__(
        self, core: Core, state: Mapping[str, bytes], sources: int, slot: type[_Slot], known: type[_Known]
    ) -> None:
        """``sources`` must have passed a window; ``slot``, ``known``: what is remembered of windows, and of finds.

        What was remembered by another baseline is dropped. Raises msgspec.DecodeError if the state is damaged.
        """
        self.merger = SlotMerger(sources)
        self._plan = core.window_plan
        self._cases = Cases(core.policy, core.settings.response.resolve_after_s)
        self._changes: dict[str, bytes | None] = {}
        self._slots: dict[str, dict[int, _Slot]] = {}
        self._known: dict[str, list[_Known]] = {}
        self.merger.restore(state)
        self._cases.restore(under(_INCIDENT, state))
        for name, blob in under(_SLOT, state).items():
            index, _, model = name.partition("/")
            kept = msgspec.msgpack.decode(blob, type=slot)
            if kept.baseline == self._plan.baseline:
                self._slots.setdefault(model, {})[int(index)] = kept
            else:
                self._changes[_SLOT + name] = None
        for model, blob in under(_KNOWN, state).items():
            self._known[model] = msgspec.msgpack.decode(blob, type=list[known])  # type: ignore[valid-type]  # a value

    @property
    def closed_ts(self) -> float:
        """Event time up to which windows have been handed on; 0 before the first."""
        return self._plan.closed_ts(self.merger.closed)

    def restored(self, model: str) -> tuple[dict[int, _Slot], list[_Known]]:
        """What was remembered of a model's windows by index, and of what was found; to be asked once."""
        return self._slots.pop(model, {}), self._known.pop(model, [])

    def write(self, model: str, index: int, slot: _Slot | None, gone: Iterable[int], known: Sequence[_Known]) -> None:
        """Remember a window of a model (None: nothing of it), forget those ``gone``, and what is ``known`` by now."""
        for old in gone:
            self._changes[f"{_SLOT}{old}/{model}"] = None
        if slot is not None:
            self._changes[f"{_SLOT}{index}/{model}"] = msgspec.msgpack.encode(slot)
        self._changes[f"{_KNOWN}{model}"] = msgspec.msgpack.encode(known) if known else None

    def found(self, finding: Finding, result: StepResult) -> None:
        """Add a finding, its incident and what is to be done to the result."""
        result.add(finding, *self._cases.found(finding))

    def delta(self) -> dict[str, bytes | None]:
        """State that changed since the last call; None means gone."""
        if self.merger.closed > NEVER:
            self._cases.prune(self.closed_ts)
        changes, self._changes = self.merger.delta() | self._changes, {}
        return changes | over(_INCIDENT, self._cases.delta())
