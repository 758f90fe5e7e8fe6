"""Rollback: only to what is good and still is what was marked, only if nobody else moved it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from actions_kit import decision

from responders import file_registry
from responders.actions.rollback import RollbackAction
from responders.decision import ActionType, Decision, Why


def rollback(id: str = "act-1", model: str = "digits", incident_id: str = "inc-1", **params: Any) -> Decision:
    return decision(ActionType.ROLLBACK, model, id=id, incident_id=incident_id, ttl_s=None, **params)


def add(root: Path, name: str, good: bool | None = True, at: float | None = None) -> Path:
    now = float(name) if at is None else at
    files = {"weights.bin": f"weights {name}".encode(), "code/model.py": b"pass\n"}
    return file_registry.create_version(root, "digits", name, files, good=good, now=now)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Versions 1 and 2 good, 3 in service and not judged, 4 good but newer."""
    folder = tmp_path / "registry"
    for name, good in (("1", True), ("2", True), ("3", None), ("4", True)):
        add(folder, name, good)
    file_registry.set_current(folder, "digits", "3")
    return folder


@pytest.fixture
def action(root: Path) -> RollbackAction:
    return RollbackAction(root)


def current(root: Path) -> str | None:
    return file_registry.current_version(root, "digits")


def test_back_to_the_last_good_older_version_and_forth_again(action: RollbackAction, root: Path) -> None:
    assert action.plan(rollback()) == "would roll digits back from version 3 to 2"
    outcome = action.apply(rollback(), 100.0)
    assert (outcome.ok, outcome.why, outcome.detail) == (True, Why.DONE, "from version 3 to 2")
    assert current(root) == "2"
    assert (root / "digits" / "current" / "weights.bin").read_bytes() == b"weights 2"
    assert action.revert(rollback(), outcome.undo, 200.0).why is Why.DONE
    assert current(root) == "3"


def test_versions_marked_bad_or_not_at_all_are_passed_over(action: RollbackAction, root: Path) -> None:
    file_registry.mark(root, "digits", "2", False)
    action.apply(rollback(), 100.0)
    assert current(root) == "1"


def change(version: Path) -> None:
    (version / "weights.bin").write_bytes(b"poisoned!")


def remove(version: Path) -> None:
    (version / "code" / "model.py").unlink()


def add_a_file(version: Path) -> None:
    (version / "code" / "__init__.py").write_text("import os")


def link_out(version: Path) -> None:
    (version / "weights.bin").unlink()
    (version / "weights.bin").symlink_to("/etc/hostname")


def link_a_folder(version: Path) -> None:
    (version / "more").symlink_to("/etc")


def add_a_pipe(version: Path) -> None:
    os.mkfifo(version / "pipe")


def name_a_path_outside(version: Path) -> None:
    manifest = json.loads((version / "manifest.json").read_text())
    manifest["files"]["../../../../etc/hostname"] = "0" * 64
    (version / "manifest.json").write_text(json.dumps(manifest))


def take_another_s_manifest(version: Path) -> None:
    (version / "manifest.json").write_bytes((version.parent / "1" / "manifest.json").read_bytes())


def lose_the_manifest(version: Path) -> None:
    (version / "manifest.json").unlink()


def damage_the_manifest(version: Path) -> None:
    (version / "manifest.json").write_text("{")


def link_the_manifest(version: Path) -> None:
    (version / "manifest.json").rename(version.parent / "m.json")
    (version / "manifest.json").symlink_to("../m.json")


def become_a_link(version: Path) -> None:
    version.rename(version.parent / "moved")
    version.symlink_to("moved")


TAMPERING = [
    change,
    remove,
    add_a_file,
    link_out,
    link_a_folder,
    add_a_pipe,
    name_a_path_outside,
    take_another_s_manifest,
    lose_the_manifest,
    damage_the_manifest,
    link_the_manifest,
    become_a_link,
]


@pytest.mark.parametrize("tamper", TAMPERING, ids=lambda f: f.__name__)
def test_a_version_that_is_not_what_was_marked_is_passed_over(action: RollbackAction, root: Path, tamper) -> None:  # type: ignore[no-untyped-def]  # parametrised with the functions above
    tamper(root / "digits" / "versions" / "2")
    assert action.apply(rollback(), 100.0).ok
    assert current(root) == "1"


def test_nothing_good_means_nothing_done(action: RollbackAction, root: Path) -> None:
    change(root / "digits" / "versions" / "2")
    file_registry.mark(root, "digits", "1", None)
    outcome = action.apply(rollback(), 100.0)
    assert (outcome.ok, outcome.why, outcome.retry) == (False, Why.NOTHING_TO_DO, False)
    assert "version 2 is not as its manifest says: weights.bin" in outcome.detail
    assert current(root) == "3"
    assert not action.verify(rollback(), {})


def test_no_version_in_service_means_nothing_to_do(action: RollbackAction, root: Path) -> None:
    (root / "digits" / "current").unlink()
    assert action.apply(rollback(), 100.0).why is Why.NOTHING_TO_DO
    assert action.plan(rollback()) == "nothing to roll digits back to"


def test_a_version_in_service_without_a_manifest_gives_way_to_the_newest_good(
    action: RollbackAction, root: Path
) -> None:
    lose_the_manifest(root / "digits" / "versions" / "3")
    action.apply(rollback(), 100.0)
    assert current(root) == "4"


@pytest.mark.parametrize(
    "model",
    ["", ".", "..", "../registry/digits", "digits/versions", "a\x00b", ".hidden", "missing", "x" * 300, "\ud800"],
)
def test_model_names_that_are_no_folder_of_ours_are_refused(
    action: RollbackAction, root: Path, tmp_path: Path, model: str
) -> None:
    (root / ".hidden").mkdir()
    outcome = action.apply(rollback(model=model), 100.0)
    assert (outcome.why, outcome.retry) == (Why.INVALID_TARGET, False)
    assert outcome.detail.isprintable()


def test_a_model_that_is_a_symlink_is_refused(action: RollbackAction, root: Path) -> None:
    (root / "alias").symlink_to("digits")
    assert action.apply(rollback(model="alias"), 100.0).why is Why.INVALID_TARGET
    assert current(root) == "3"


@pytest.mark.parametrize("target", ["/etc", "../..", "versions", "versions/3/code", "versions/..", "versions/.x"])
def test_a_link_that_leads_elsewhere_is_not_touched(action: RollbackAction, root: Path, target: str) -> None:
    link = root / "digits" / "current"
    link.unlink()
    link.symlink_to(target)
    assert action.apply(rollback(), 100.0).why is Why.INVALID_TARGET
    assert str(link.readlink()) == target


def test_a_current_that_is_a_folder_is_not_touched(action: RollbackAction, root: Path) -> None:
    (root / "digits" / "current").unlink()
    (root / "digits" / "current").mkdir()
    assert action.apply(rollback(), 100.0).why is Why.INVALID_TARGET
    assert (root / "digits" / "current").is_dir()


def test_the_same_incident_rolls_back_once(action: RollbackAction, root: Path) -> None:
    action.apply(rollback(), 100.0)
    again = action.apply(rollback("act-2"), 110.0)
    assert (again.ok, again.why) == (True, Why.ALREADY_SO)
    assert current(root) == "2"
    assert action.verify(rollback("act-2"), again.undo)
    assert action.revert(rollback("act-2"), again.undo, 120.0).why is Why.DONE
    assert current(root) == "3"
    assert action.revert(rollback(), {}, 130.0).why is Why.ALREADY_SO
    assert current(root) == "3"


def test_another_incident_rolls_back_further_and_undo_goes_in_order(action: RollbackAction, root: Path) -> None:
    first = action.apply(rollback(), 100.0)
    second = action.apply(rollback("act-2", incident_id="inc-2"), 110.0)
    assert current(root) == "1"
    refused = action.revert(rollback(), first.undo, 120.0)
    assert (refused.ok, refused.why) == (False, Why.CHANGED_SINCE)
    assert current(root) == "1"
    assert action.revert(rollback("act-2", incident_id="inc-2"), second.undo, 130.0).ok
    assert action.revert(rollback(), first.undo, 140.0).ok
    assert current(root) == "3"


def test_what_somebody_deployed_since_stays(action: RollbackAction, root: Path) -> None:
    outcome = action.apply(rollback(), 100.0)
    file_registry.set_current(root, "digits", "4")
    refused = action.revert(rollback(), outcome.undo, 200.0)
    assert (refused.ok, refused.why, refused.retry) == (False, Why.CHANGED_SINCE, False)
    assert refused.detail == "in service is 4, not 2"
    assert current(root) == "4"
    assert not action.verify(rollback(), outcome.undo)


def test_a_decision_about_a_version_no_longer_in_service_is_moot(action: RollbackAction, root: Path) -> None:
    outcome = action.apply(rollback(version="2"), 100.0)
    assert (outcome.ok, outcome.why) == (False, Why.NOTHING_TO_DO)
    assert current(root) == "3"
    # a name the registry does not know says nothing
    assert action.apply(rollback("act-2", version="build-77"), 100.0).ok
    assert current(root) == "2"


def test_the_version_to_go_back_to_may_be_gone(action: RollbackAction, root: Path) -> None:
    outcome = action.apply(rollback(), 100.0)
    (root / "digits" / "versions" / "3").rename(root / "3")
    refused = action.revert(rollback(), outcome.undo, 200.0)
    assert (refused.ok, refused.why) == (False, Why.PERMANENT_ERROR)
    assert current(root) == "2"


@pytest.mark.parametrize("link", ["/etc", "../../..", "versions/1"])
def test_undo_data_cannot_lead_elsewhere(action: RollbackAction, root: Path, link: str) -> None:
    outcome = action.apply(rollback(), 100.0)
    refused = action.revert(rollback(), outcome.undo | {"previous_link": link}, 200.0)
    assert (refused.ok, refused.why) == (False, Why.PERMANENT_ERROR)
    assert current(root) == "2"


def test_versions_are_written_once_and_stay_inside(root: Path) -> None:
    with pytest.raises(FileExistsError):
        add(root, "2")
    for path in ("../x", "/etc/x", "a//b", ".hidden", ""):
        with pytest.raises(ValueError, match="plain file name"):
            file_registry.create_version(root, "digits", "v", {path: b""}, good=True, now=9.0)
    assert not (root / "digits" / "versions" / "v").exists()


def test_a_copied_version_does_not_inherit_the_mark(action: RollbackAction, root: Path) -> None:
    shutil.copytree(root / "digits" / "versions" / "1", root / "digits" / "versions" / "2b")
    assert [v.name for v in file_registry.versions(root, "digits")] == ["4", "3", "2", "1"]
    with pytest.raises(ValueError, match="another version"):
        file_registry.mark(root, "digits", "2b", True)


def test_marks_and_order(root: Path) -> None:
    assert [v.name for v in file_registry.versions(root, "digits")] == ["4", "3", "2", "1"]
    assert file_registry.mark(root, "digits", "3", False).good is False
    assert [v.good for v in file_registry.versions(root, "digits")] == [True, False, True, True]
    for version in file_registry.versions(root, "digits"):
        file_registry.verify_manifest(root, version)
    with pytest.raises(ValueError, match="no version"):
        file_registry.mark(root, "digits", "9", True)


def test_files_put_there_by_hand_can_be_sealed(action: RollbackAction, root: Path) -> None:
    folder = root / "digits" / "versions" / "2b"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(b"by hand")
    file_registry.seal_version(root, "digits", "2b", good=True, now=2.5)
    action.apply(rollback(), 100.0)
    assert current(root) == "2b"


def test_a_registry_we_may_not_write_to_is_a_clear_error(
    action: RollbackAction, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(self: Path, target: str, target_is_directory: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "symlink_to", denied)
        outcome = action.apply(rollback(), 100.0)
    assert (outcome.why, outcome.retry) == (Why.PERMANENT_ERROR, False)
    assert "Permission denied" in outcome.detail
    assert current(root) == "3"
    assert action.apply(rollback(), 110.0).ok
