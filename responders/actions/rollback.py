"""Roll a model back to its last version that is marked good and is still what was marked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec

from responders import atomic_file, file_registry
from responders.decision import ActionType, Decision, Outcome, Why
from responders.file_registry import Version
from responders.json_file import read_json, write_json
from responders.retry import failure
from responders.text import visible

_JOURNAL: Final = ".rollbacks.json"


class _Swap(msgspec.Struct, frozen=True):
    """Written before the link is swapped, so that a crash between cannot lose where to go back to."""

    incident: str
    previous: str
    previous_link: str
    version: str


class RollbackAction:
    """Swaps ``DIR/MODEL/current`` to an older version of the file registry at ``directory``, and back.

    Chosen is the newest version older than the current one that is marked good and whose files match their manifest
    to the bit; if the current version has no readable manifest, the newest good one. A decision whose ``params`` name
    the ``version`` it speaks of is not carried out on another.
    """

    type: ClassVar[ActionType] = ActionType.ROLLBACK

    def __init__(self, directory: Path) -> None:
        self._root = directory

    def plan(self, decision: Decision) -> str:
        model = visible(decision.value, 60)
        current = file_registry.current_version(self._root, decision.value)
        older = [] if current is None else self._good_versions(decision.value, current)
        if not older:
            return f"nothing to roll {model} back to"
        return f"would roll {model} back from version {visible(current or '', 60)} to {visible(older[0].name, 60)}"

    def apply(self, decision: Decision, now: float) -> Outcome:  # noqa: ARG002 - a rollback does not expire
        try:
            folder = file_registry.model_folder(self._root, decision.value)
            with atomic_file.locked(folder / "current"):
                return self._swap(folder, decision)
        except ValueError as error:
            return Outcome(ok=False, why=Why.INVALID_TARGET, detail=visible(str(error), 300))
        except OSError as error:
            return failure(error)

    def verify(self, decision: Decision, undo: dict[str, Any]) -> bool:  # noqa: ARG002 - the journal says it all
        folder = file_registry.model_folder(self._root, decision.value)
        swap = _read(folder).get(decision.id)
        return swap is not None and file_registry.current_version(self._root, decision.value) == swap.version

    def revert(self, decision: Decision, undo: dict[str, Any], now: float) -> Outcome:  # noqa: ARG002 - as in apply
        """Put the version back that was there before, if what is there now is still what apply put there."""
        try:
            folder = file_registry.model_folder(self._root, decision.value)
            with atomic_file.locked(folder / "current"):
                return self._swap_back(folder, decision, undo)
        except ValueError as error:
            return Outcome(ok=False, why=Why.PERMANENT_ERROR, detail=visible(str(error), 300))
        except OSError as error:
            return failure(error)

    def _swap(self, folder: Path, decision: Decision) -> Outcome:
        model, journal = decision.value, _read(folder)
        current = file_registry.current_version(self._root, model)
        if current is None:
            return Outcome(ok=False, why=Why.NOTHING_TO_DO, detail="no version is in service")
        done = [s for key, s in journal.items() if decision.id == key or decision.incident_id == s.incident]
        for swap in done:
            if swap.version == current:
                if decision.id not in journal:
                    _write(folder, journal | {decision.id: swap})
                return _is_so(Why.ALREADY_SO, swap)
        meant = decision.params.get("version")
        known = {version.name for version in file_registry.versions(self._root, model)}
        if meant in known and meant != current:
            detail = f"the decision is about version {visible(str(meant), 60)}, in service is {visible(current, 60)}"
            return Outcome(ok=False, why=Why.NOTHING_TO_DO, detail=detail)
        return self._swap_to_good(folder, decision, current, journal)

    def _swap_to_good(self, folder: Path, decision: Decision, current: str, journal: dict[str, _Swap]) -> Outcome:
        passed_over = ""
        for version in self._good_versions(decision.value, current):
            try:
                file_registry.verify_manifest(self._root, version)
            except ValueError as error:
                passed_over = f"; {error}"
                continue
            link = file_registry.current_link(self._root, decision.value) or ""
            swap = _Swap(decision.incident_id, current, link, version.name)
            _write(folder, journal | {decision.id: swap})
            file_registry.set_current(self._root, decision.value, version.name)
            return _is_so(Why.DONE, swap)
        detail = visible(f"no older version is good{passed_over}", 300)
        return Outcome(ok=False, why=Why.NOTHING_TO_DO, detail=detail)

    def _swap_back(self, folder: Path, decision: Decision, undo: dict[str, Any]) -> Outcome:
        journal = _read(folder)
        swap = msgspec.convert(undo, _Swap) if undo else journal.get(decision.id)
        if swap is None:
            return Outcome(ok=True, why=Why.ALREADY_SO, detail="was not rolled back by this decision")
        current = file_registry.current_version(self._root, decision.value)
        if current not in (swap.version, swap.previous):
            detail = f"in service is {visible(current or 'nothing', 60)}, not {visible(swap.version, 60)}"
            return Outcome(ok=False, why=Why.CHANGED_SINCE, detail=detail)
        if current == swap.version:
            file_registry.set_current(self._root, decision.value, swap.previous, swap.previous_link)
        if journal.pop(decision.id, None) is not None:
            _write(folder, journal)
        why = Why.DONE if current == swap.version else Why.ALREADY_SO
        return Outcome(ok=True, why=why, detail=f"{visible(swap.previous, 60)} is back in service")

    def _good_versions(self, model: str, current: str) -> list[Version]:
        """Newest first."""
        known = file_registry.versions(self._root, model)
        now_served = next((version for version in known if version.name == current), None)
        good = [version for version in known if version.good and version.name != current]
        return good if now_served is None else [v for v in good if v.age_order < now_served.age_order]


def _is_so(why: Why, swap: _Swap) -> Outcome:
    detail = f"from version {visible(swap.previous, 60)} to {visible(swap.version, 60)}"
    return Outcome(ok=True, why=why, detail=detail, undo=msgspec.to_builtins(swap))


def _read(folder: Path) -> dict[str, _Swap]:
    return read_json(folder / _JOURNAL, dict[str, _Swap]) or {}


def _write(folder: Path, journal: dict[str, _Swap]) -> None:
    if journal:
        write_json(folder / _JOURNAL, journal, 0o644)
    else:
        (folder / _JOURNAL).unlink(missing_ok=True)
