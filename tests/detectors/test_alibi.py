"""The alibi-detect adapter where alibi-detect is not, and which directories it trusts."""

from __future__ import annotations

import builtins
import importlib
import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from window_traffic import traffic

from detectors import alibi_loading
from detectors.alibi import build_alibi
from detectors.alibi_loading import AlibiUnavailableError, check_trusted, make

_Version = namedtuple("_Version", "major minor")


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if alibi-detect were not installed."""
    real = importlib.import_module

    def refuse(name: str, package: str | None = None) -> object:
        if name.split(".")[0] in ("alibi_detect", "dill"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", refuse)


def test_importing_and_building_needs_no_alibi_detect() -> None:
    """Seconds of import time, and a package that newer Pythons cannot have, must not be paid by everyone."""
    program = (
        "import sys, detectors.alibi as a; c = a.build_alibi(name='KSDrift'); "
        "assert c.info.name == 'alibi:KSDrift'; "
        "assert not [m for m in sys.modules if m.startswith(('alibi_detect', 'dill', 'sklearn'))]"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


@pytest.mark.usefixtures("absent")
@pytest.mark.parametrize("version", [(3, 11), (3, 13)])
def test_using_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, version: tuple[int, int]) -> None:
    monkeypatch.setattr(alibi_loading.sys, "version_info", _Version(*version))
    kind = build_alibi(name="KSDrift")
    params = kind.fit(traffic(0, rows=200))
    with pytest.raises(AlibiUnavailableError, match=r"Python 3\.11" if version > (3, 11) else r"vedette\[alibi\]"):
        kind(params)


@pytest.mark.usefixtures("absent")
def test_a_saved_detector_says_so_too(tmp_path: Path) -> None:
    kind = build_alibi(path=str(tmp_path))
    with pytest.raises(AlibiUnavailableError):
        kind(kind.fit(traffic(0, rows=200)))


def test_unknown_names_are_refused_without_importing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> object:
        raise AssertionError("imported")

    x = traffic(0, rows=200).x
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ValueError, match="there are KSDrift, CVMDrift"):
        make("os.system", x, {})


@pytest.mark.parametrize(("path", "name"), [("", ""), ("/x", "KSDrift")])
def test_either_a_path_or_a_name(path: str, name: str) -> None:
    with pytest.raises(ValueError, match="either a path or a class name"):
        build_alibi(path=path, name=name)


def test_the_same_class_twice_with_other_options_has_another_name() -> None:
    names = {build_alibi(name="KSDrift", options=o).info.name for o in ({}, {"p_val": 0.1}, {"p_val": 0.2})}
    assert len(names) == 3


def test_own_directories_are_trusted(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "x.dill").write_bytes(b"")
    check_trusted(folder)


@pytest.mark.parametrize("part", ["saved", "saved/model", "saved/model/x.dill", "."])
def test_what_others_can_write_is_refused(tmp_path: Path, part: str) -> None:
    folder = tmp_path / "saved"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "x.dill").write_bytes(b"")
    target = tmp_path / part
    target.chmod(target.stat().st_mode | 0o002)
    with pytest.raises(PermissionError, match=r"world-writable|written by others"):
        check_trusted(folder)


def test_what_someone_else_owns_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.dill").write_bytes(b"")
    monkeypatch.setattr(alibi_loading.os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    real = Path.lstat

    def owned(path: Path) -> os.stat_result:
        fields = list(real(path))
        fields[4] = 4242
        return os.stat_result(fields)

    monkeypatch.setattr(Path, "lstat", owned)
    with pytest.raises(PermissionError, match="written by others"):
        check_trusted(tmp_path)


def test_links_out_of_the_directory_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "meta.dill").symlink_to("/etc/hostname")
    with pytest.raises(PermissionError, match="is a link"):
        check_trusted(folder)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        check_trusted(tmp_path / "nowhere")
