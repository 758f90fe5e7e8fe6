"""Which kernels OpenBLAS runs: those of the instructions that the processor has.

OpenBLAS, which numpy and scipy bring along, chooses by the processor's model. One that is newer than the library is
taken for a Prescott of 2004, and products of matrices take several times as long: so does the OpenBLAS 0.3.21 of numpy
1.24 with Intel's servers from 2023 on. ``OPENBLAS_CORETYPE`` tells it; it is read once, when numpy is loaded
(OpenBLAS, "Switching Subarchitecture Dynamically"). Results do not depend on it (``detectors.exact``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, MutableMapping
from pathlib import Path
from typing import Final

VARIABLE: Final = "OPENBLAS_CORETYPE"
#: OpenBLAS's names of kernels that need these instructions (x86-64, as Linux names them), the fastest first.
_KERNELS: Final = {
    "SkylakeX": {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl", "avx2", "fma"},
    "Haswell": {"avx2", "fma"},
}
_CPUINFO: Final = Path("/proc/cpuinfo")


def kernels_for(instructions: Collection[str]) -> str | None:
    """OpenBLAS's name of the fastest kernels for these instructions; None if it should choose itself."""
    return next((name for name, needed in _KERNELS.items() if needed <= set(instructions)), None)


def instructions_of(cpuinfo: Iterable[str]) -> list[str]:
    """What the first processor can do by the lines of a Linux ``cpuinfo``, which are read no further than that.

    Nothing if it is not said, as on other machines.
    """
    flags = (line.partition(":")[2] for line in cpuinfo if line.startswith("flags"))
    return next(flags, "").split()


def choose(environ: MutableMapping[str, str], cpuinfo: Path = _CPUINFO) -> None:
    """Name the kernels in the environment, for this process and those it starts; a choice made there stays."""
    if VARIABLE in environ:
        return
    try:
        with cpuinfo.open(encoding="utf-8", errors="replace") as lines:
            kernels = kernels_for(instructions_of(lines))
    except OSError:  # no Linux, or no right to read it
        return
    if kernels:
        environ[VARIABLE] = kernels
