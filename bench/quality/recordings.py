"""Recordings to judge detectors by, made once and kept below ``.cache/quality``.

    python -m bench.quality.recordings [--sets mnist,tumours,claims] [--seeds 5]

makes them and prints where they are.

A file's name carries a digest of all that it is made by, so that a change to the simulation makes new ones.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

import replay.simulate
from bench.quality.truth import Truth, truth_of
from replay.simulate import preset, save, simulate

SETS: Final = ("mnist", "tumours", "claims")
CACHE: Final = Path(__file__).parents[2] / ".cache" / "quality"
_MADE_BY: Final = ("numpy", "scipy", "scikit-learn", "adversarial-robustness-toolbox")


@dataclass(frozen=True)
class Recorded:
    """``attacked``: to be judged; ``clean``: to calibrate on; both compact, ``.vdt.zst``, with labels beside them."""

    data_set: str
    seed: int
    attacked: Path
    clean: Path

    @property
    def truth(self) -> Truth:
        return Truth.load(_truth_path(self.attacked))


def recorded(data_set: str, seed: int) -> Recorded:
    """The two recordings of a data set and seed, made if they are not there. Raises as ``simulate`` does."""
    CACHE.mkdir(parents=True, exist_ok=True)
    attacked, clean = (_made(name, seed) for name in (data_set, f"{data_set}-clean"))
    return Recorded(data_set, seed, attacked, clean)


def clean_recording(data_set: str, seed: int) -> Path:
    """The recording to calibrate on alone."""
    CACHE.mkdir(parents=True, exist_ok=True)
    return _made(f"{data_set}-clean", seed)


def _made(name: str, seed: int) -> Path:
    path = CACHE / f"{name}-{seed}-{_digest()}.vdt.zst"
    truth = _truth_path(path)
    if not truth.exists():
        scenario = preset(name)
        simulated = simulate(scenario, seed)
        save(simulated, path)
        truth_of(scenario, simulated).save(truth)  # last: what was interrupted is made again
    return path


def _truth_path(recording: Path) -> Path:
    return recording.with_name(f"{recording.name.partition('.')[0]}.truth.json")


@cache
def _digest() -> str:
    found = hashlib.blake2b(digest_size=5)
    for package in _MADE_BY:
        found.update(f"{package} {version(package)}\n".encode())
    folder = Path(replay.simulate.__file__).parent
    for path in (*sorted(folder.rglob("*.py")), Path(__file__).with_name("truth.py")):
        found.update(path.read_bytes())
    return found.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    for data_set in args.sets.split(","):
        for seed in range(1, args.seeds + 1):
            print(f"{data_set}, seed {seed} ...", file=sys.stderr, flush=True)
            made = recorded(data_set, seed)
            print(f"{made.attacked}\n{made.clean}", flush=True)


if __name__ == "__main__":
    main()
