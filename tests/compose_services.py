"""What ``docker-compose.yml`` and ``Dockerfile`` say, and their commands run without containers."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
STOP_TIMEOUT_S = 30


def compose() -> dict[str, Any]:
    """``docker-compose.yml``, anchors resolved."""
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def dockerfile() -> list[tuple[str, str]]:
    """Instructions of the ``Dockerfile`` in order: (keyword, rest), continued lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines if line and line[0] != "#"]


def copied() -> dict[str, str]:
    """Files of this repository in the final image: path there -> path here."""
    instructions = dockerfile()
    last_stage = max(i for i, (keyword, _) in enumerate(instructions) if keyword == "FROM")
    pairs = [shlex.split(rest) for keyword, rest in instructions[last_stage:] if keyword == "COPY"]
    return {target: source for source, target in (p for p in pairs if not p[0].startswith("--"))}


def native_command(service: str, replacements: Mapping[str, str]) -> list[str]:
    """The service's command as it runs here: this interpreter, our files, and ``replacements`` of whole parts."""
    here = {path: str(ROOT / source) for path, source in copied().items()} | dict(replacements)
    program, *arguments = (here.get(part, part) for part in compose()["services"][service]["command"])
    start = {"python": [sys.executable], "vedette": [sys.executable, "-m", "monitor"]}[program]
    return [*start, *arguments]


@contextlib.contextmanager
def running(service: str, replacements: Mapping[str, str], cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """The service as a process of this machine; ended by SIGTERM, and must then end by itself."""
    environment = dict(os.environ) | {"PYTHONPATH": str(ROOT), **_environment()}
    process = subprocess.Popen(
        native_command(service, replacements),
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


def _environment() -> dict[str, str]:
    """``ENV`` of the image, but for what names its folders."""
    pairs = [re.findall(r"(\w+)=(\S+)", rest) for keyword, rest in dockerfile() if keyword == "ENV"]
    return {name: value for found in pairs for name, value in found if name != "PATH"}
