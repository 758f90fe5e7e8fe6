"""OpenBLAS is told what the processor can do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.blas import VARIABLE, choose, instructions_of, kernels_for

#: Prints what the shipped traffic leads to.
JUDGED = """
import sys
from monitor.core import load_core
from monitor.settings import Detection, Settings
from replay.demo.workspace import shipped
from replay.in_process import replay_in_process
from replay.recording import read_recording
import msgspec
events = list(read_recording(shipped("demo.jsonl.zst")))[:4000]
core = load_core(Settings(detection=Detection(baseline=sys.argv[1])))
print(msgspec.json.encode(replay_in_process(events, core).findings).decode())
"""

AVX2 = "fpu sse2 avx avx2 fma"
AVX512 = f"{AVX2} avx512f avx512cd avx512bw avx512dq avx512vl"


@pytest.mark.parametrize(
    ("instructions", "kernels"),
    [
        (AVX512, "SkylakeX"),
        (AVX512.replace(" avx512bw", ""), "Haswell"),
        (AVX2, "Haswell"),
        ("fpu sse2 avx", None),
        ("", None),
    ],
)
def test_the_fastest_kernels_whose_instructions_are_there(instructions: str, kernels: str | None) -> None:
    assert kernels_for(instructions.split()) == kernels


@pytest.mark.parametrize(
    ("cpuinfo", "instructions"),
    [
        (f"processor\t: 0\nflags\t\t: {AVX2}\nbugs\t\t: none\n\nprocessor\t: 1\nflags\t\t: fpu\n", AVX2.split()),
        ("processor\t: 0\nFeatures\t: fp asimd\n", []),  # ARM
        ("flags", []),
        ("", []),
    ],
)
def test_instructions_are_those_of_the_first_processor(cpuinfo: str, instructions: list[str]) -> None:
    assert instructions_of(cpuinfo.splitlines()) == instructions


def test_a_choice_in_the_environment_stays(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"flags : {AVX512}\n")
    environ = {VARIABLE: "Zen"}
    choose(environ, cpuinfo)
    assert environ == {VARIABLE: "Zen"}
    environ = {}
    choose(environ, cpuinfo)
    assert environ == {VARIABLE: "SkylakeX"}


def test_other_machines_are_left_alone(tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    choose(environ, tmp_path / "nothing")
    (tmp_path / "cpuinfo").write_bytes(b"\xff\xfeFeatures : fp\n")
    choose(environ, tmp_path / "cpuinfo")
    assert environ == {}


def test_the_command_line_has_numpy_loaded_with_the_kernels_chosen() -> None:
    """In a process of its own, as ``vedette`` starts: the choice comes before numpy, whoever imports that."""
    program = (
        "import json, os, monitor.cli.main, monitor.app_main, numpy\n"
        "from threadpoolctl import threadpool_info\n"
        "print(json.dumps([os.environ.get('OPENBLAS_CORETYPE'), [lib.get('architecture') for lib in threadpool_info()"
        " if lib['internal_api'] == 'openblas']]))"
    )
    environ = {name: value for name, value in os.environ.items() if name != VARIABLE}
    said = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, check=True, text=True)
    wanted, running = json.loads(said.stdout)
    chosen: dict[str, str] = {}
    choose(chosen)
    assert wanted == chosen.get(VARIABLE)
    assert running
    assert wanted is None or set(running) == {wanted}


def test_findings_are_the_same_to_the_last_digit_whatever_the_kernels(baseline: Path) -> None:
    def judged(environ: dict[str, str]) -> str:
        command = [sys.executable, "-c", JUDGED, str(baseline)]
        return subprocess.run(command, env=environ, capture_output=True, check=True, text=True).stdout

    others = {name: value for name, value in os.environ.items() if name != VARIABLE}
    best = judged(others)
    assert len(json.loads(best)) > 2
    assert judged({**others, VARIABLE: "Prescott"}) == best
